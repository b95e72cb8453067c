// SPDX-License-Identifier: Apache-2.0
// Decodes serialised yolact_ros/msg/InstanceArray messages as a C++ subscriber would, for tests that
// compare the two decoders. The generated type support deserialises them, as it does beneath rclcpp.
//
// Standard input, until it ends:  uint32 n, then n bytes: what rclpy's serialize_message() gave, or
//                                 what a subscription with raw=True received.
// Standard output, per message:   uint32 number of instances, image height, image width;
//                                 per instance uint32 x_offset, y_offset, width, height, area, then
//                                 height * width bytes of 0 or 1;
//                                 then height * width uint16 of the image: 0 or the number of the
//                                 instance from 1, the better score on top.
// All numbers are little endian. Ends with 1 and one line on standard error at a bad message, also at
// one of more than `most_bytes` or for an image of more than `most_pixels`: memory is taken for what
// came, never for what a number announces.
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "fastcdr/Cdr.h"
#include "fastcdr/FastBuffer.h"
#include "fastcdr/config.h"
#include "fastcdr/exceptions/Exception.h"
#include "yolact_ros/mask_decoder.hpp"
#include "yolact_ros/msg/detail/instance_array__rosidl_typesupport_fastrtps_cpp.hpp"
#include "yolact_ros/msg/instance_array.hpp"

namespace
{

using yolact_ros::msg::InstanceArray;

constexpr std::uint32_t most_bytes = 1u << 28;
constexpr std::uint64_t most_pixels = 1u << 26;

bool read_number(std::uint32_t & value)
{
  std::array<unsigned char, 4> bytes;
  std::cin.read(reinterpret_cast<char *>(bytes.data()), bytes.size());
  if (std::cin.gcount() == 0) {
    return false;
  }
  if (!std::cin) {
    throw std::runtime_error("standard input ends within a number");
  }
  value = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<std::uint32_t>(bytes[3]) << 24;
  return true;
}

void write_number(std::uint64_t value, int bytes)
{
  for (int i = 0; i < bytes; ++i) {
    std::cout.put(static_cast<char>(value >> (8 * i) & 0xff));
  }
}

InstanceArray deserialize(std::vector<std::uint8_t> & bytes)
{
  using eprosima::fastcdr::Cdr;
  eprosima::fastcdr::FastBuffer buffer(reinterpret_cast<char *>(bytes.data()), bytes.size());
#if FASTCDR_VERSION_MAJOR == 1
  Cdr cdr(buffer, Cdr::DEFAULT_ENDIAN, Cdr::DDS_CDR);
#else
  Cdr cdr(buffer);
#endif
  InstanceArray message;
  std::string reason;
  try {
    cdr.read_encapsulation();
    if (yolact_ros::msg::typesupport_fastrtps_cpp::cdr_deserialize(cdr, message)) {
      return message;
    }
    reason = "refused";
  } catch (const eprosima::fastcdr::exception::Exception & error) {
    reason = error.what();  // not always a std::exception: not in Kilted's wheels
  } catch (const std::exception & error) {
    reason = error.what();  // std::bad_alloc
  }
  throw std::runtime_error(
    std::to_string(bytes.size()) + " bytes are no InstanceArray: " + reason);
}

void check_size(const InstanceArray & message)
{
  if (std::uint64_t{message.image_width} * message.image_height > most_pixels) {
    throw std::runtime_error(
      "expected an image of at most " + std::to_string(most_pixels) + " pixels, got " +
      std::to_string(message.image_width) + "x" + std::to_string(message.image_height));
  }
}

void write_decoded(const InstanceArray & message)
{
  check_size(message);
  write_number(message.instances.size(), 4);
  write_number(message.image_height, 4);
  write_number(message.image_width, 4);
  for (const auto & instance : message.instances) {
    const auto & mask = instance.mask;
    for (const std::uint64_t number : {std::uint64_t{mask.x_offset}, std::uint64_t{mask.y_offset},
        std::uint64_t{mask.width}, std::uint64_t{mask.height},
        std::uint64_t{yolact_ros::mask_area(mask)}})
    {
      write_number(number, 4);
    }
    const std::vector<std::uint8_t> pixels =
      yolact_ros::decode_mask(mask, message.image_width, message.image_height);
    std::cout.write(
      reinterpret_cast<const char *>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
  }

  const std::size_t step = std::size_t{message.image_width} * 2;
  std::vector<std::uint8_t> map(step * message.image_height, 0);  // `check_size` knows that it fits
  for (std::size_t i = message.instances.size(); i > 0; --i) {
    const std::array<std::uint8_t, 2> number = {
      static_cast<std::uint8_t>(i & 0xff), static_cast<std::uint8_t>(i >> 8)};
    yolact_ros::paint_mask(
      message.instances[i - 1].mask, number, map.data(), message.image_width, message.image_height,
      step);
  }
  std::cout.write(
    reinterpret_cast<const char *>(map.data()), static_cast<std::streamsize>(map.size()));
}

}  // namespace

int main()
{
  std::ios::sync_with_stdio(false);
  try {
    std::uint32_t length = 0;
    while (read_number(length)) {
      if (length > most_bytes) {
        throw std::runtime_error(
          "expected a message of at most " + std::to_string(most_bytes) + " bytes, got " +
          std::to_string(length));
      }
      std::vector<std::uint8_t> bytes(length);
      std::cin.read(reinterpret_cast<char *>(bytes.data()), length);
      if (!std::cin) {
        throw std::runtime_error("standard input ends within a message");
      }
      write_decoded(deserialize(bytes));
    }
    return 0;
  } catch (const std::exception & error) {
    std::cerr << "mask_decode_tool: " << error.what() << "\n";
    return 1;
  }
}
