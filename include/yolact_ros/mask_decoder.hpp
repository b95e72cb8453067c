// SPDX-License-Identifier: Apache-2.0
/// \file
/// Decodes the masks of yolact_ros/msg/InstanceArray, for whoever subscribes to them.
///
/// Header only, C++17, needs the generated message headers and the standard library. The Python
/// twin is yolact_ros.masks. In a CMakeLists.txt:
///
///     find_package(yolact_ros REQUIRED)
///     target_link_libraries(my_node PRIVATE yolact_ros::mask_decoder ${yolact_ros_TARGETS})
///
/// and in a subscriber's callback:
///
///     for (const auto & instance : message.instances) {
///       yolact_ros::for_each_pixel(
///         instance.mask, [&](std::size_t x, std::size_t y) { /* column x, row y */ });
///     }
///
/// Every function throws std::invalid_argument when the fields of a message contradict each other.
#ifndef YOLACT_ROS__MASK_DECODER_HPP_
#define YOLACT_ROS__MASK_DECODER_HPP_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "yolact_ros/msg/mask.hpp"

namespace yolact_ros
{

/// Checks that `step` holds a row of `width` bits and that `data` has `height * step` bytes.
///
/// \throws std::invalid_argument with what was expected and what came.
inline void check_mask(const msg::Mask & mask)
{
  const std::uint64_t least_step = (std::uint64_t{mask.width} + 7) / 8;
  if (mask.step < least_step) {
    throw std::invalid_argument(
      "mask: expected a step of at least " + std::to_string(least_step) +
      " bytes for a width of " + std::to_string(mask.width) + ", got " +
      std::to_string(mask.step));
  }
  const std::uint64_t size = std::uint64_t{mask.height} * mask.step;
  if (mask.data.size() != size) {
    throw std::invalid_argument(
      "mask: expected height * step = " + std::to_string(mask.height) + " * " +
      std::to_string(mask.step) + " = " + std::to_string(size) + " bytes of data, got " +
      std::to_string(mask.data.size()));
  }
}

/// Checks, beyond check_mask(), that the mask's rectangle lies within an image.
///
/// \param image_width columns of the image, in pixels: InstanceArray::image_width.
/// \param image_height rows of the image, in pixels: InstanceArray::image_height.
/// \throws std::invalid_argument with what was expected and what came.
inline void check_mask(
  const msg::Mask & mask, std::uint32_t image_width, std::uint32_t image_height)
{
  check_mask(mask);
  const std::uint64_t right = std::uint64_t{mask.x_offset} + mask.width;
  const std::uint64_t bottom = std::uint64_t{mask.y_offset} + mask.height;
  if (right > image_width || bottom > image_height) {
    throw std::invalid_argument(
      "mask: expected a rectangle within the image of " + std::to_string(image_width) + "x" +
      std::to_string(image_height) + " pixels, got columns " + std::to_string(mask.x_offset) +
      " to " + std::to_string(right) + " and rows " + std::to_string(mask.y_offset) + " to " +
      std::to_string(bottom));
  }
}

/// Calls `visit(x, y)` for each pixel of the mask, from left to right and from top to bottom.
///
/// \param visit takes the pixel's column and row in the image, as two std::size_t.
/// \throws std::invalid_argument see check_mask(const msg::Mask &).
template<typename Visitor>
void for_each_pixel(const msg::Mask & mask, Visitor && visit)
{
  check_mask(mask);
  const std::size_t bytes_used = (std::size_t{mask.width} + 7) / 8;
  for (std::size_t row = 0; bytes_used > 0 && row < mask.height; ++row) {
    const std::uint8_t * const bytes = mask.data.data() + row * mask.step;
    for (std::size_t i = 0; i < bytes_used; ++i) {
      for (std::size_t bit = 0; bytes[i] != 0 && bit < 8 && i * 8 + bit < mask.width; ++bit) {
        if (bytes[i] & (0x80u >> bit)) {
          visit(mask.x_offset + i * 8 + bit, mask.y_offset + row);
        }
      }
    }
  }
}

/// Decodes the mask's own rectangle.
///
/// \return height * width bytes, row after row without gaps: 1 where the object is, else 0. The
///   first byte is the pixel at column x_offset and row y_offset of the image.
/// \throws std::invalid_argument see check_mask(const msg::Mask &).
inline std::vector<std::uint8_t> decode_mask(const msg::Mask & mask)
{
  check_mask(mask);
  std::vector<std::uint8_t> pixels(std::size_t{mask.height} * mask.width, 0);
  for_each_pixel(
    mask, [&](std::size_t x, std::size_t y) {
      pixels[(y - mask.y_offset) * mask.width + (x - mask.x_offset)] = 1;
    });
  return pixels;
}

/// Whether the object covers one pixel; false outside the mask's rectangle, too.
///
/// \param x column of the image, from 0.
/// \param y row of the image, from 0.
/// \throws std::invalid_argument see check_mask(const msg::Mask &).
inline bool mask_at(const msg::Mask & mask, std::size_t x, std::size_t y)
{
  check_mask(mask);
  // below the offset these wrap around to more than any width or height
  const std::size_t column = x - mask.x_offset;
  const std::size_t row = y - mask.y_offset;
  return column < mask.width && row < mask.height &&
         (mask.data[row * mask.step + column / 8] & (0x80u >> (column % 8))) != 0;
}

/// Number of pixels that the object covers.
///
/// \throws std::invalid_argument see check_mask(const msg::Mask &).
inline std::size_t mask_area(const msg::Mask & mask)
{
  std::size_t area = 0;
  for_each_pixel(mask, [&](std::size_t, std::size_t) {++area;});
  return area;
}

/// Sets the mask's pixels in the caller's image to a value and leaves the others as they are.
///
/// \tparam Pixel type of a pixel, for example std::uint16_t for a map of instance numbers, or
///   std::array<std::uint8_t, 3> for bgr8. Copied byte by byte.
/// \param image the image's first byte; it need not be aligned.
/// \param image_width columns of the image, in pixels.
/// \param image_height rows of the image, in pixels.
/// \param image_step bytes from one row of the image to the next, at least
///   image_width * sizeof(Pixel), as in sensor_msgs/msg/Image.
/// \throws std::invalid_argument see check_mask(const msg::Mask &, std::uint32_t, std::uint32_t),
///   and for an image_step that is too small. The image is unchanged then.
template<typename Pixel>
void paint_mask(
  const msg::Mask & mask, const Pixel & value, void * image, std::uint32_t image_width,
  std::uint32_t image_height, std::size_t image_step)
{
  static_assert(std::is_trivially_copyable<Pixel>::value, "a pixel is copied byte by byte");
  check_mask(mask, image_width, image_height);
  if (image_step < std::size_t{image_width} * sizeof(Pixel)) {
    throw std::invalid_argument(
      "image: expected a step of at least " + std::to_string(image_width) + " * " +
      std::to_string(sizeof(Pixel)) + " bytes, got " + std::to_string(image_step));
  }
  std::uint8_t * const bytes = static_cast<std::uint8_t *>(image);
  for_each_pixel(
    mask, [&](std::size_t x, std::size_t y) {
      std::memcpy(bytes + y * image_step + x * sizeof(Pixel), &value, sizeof(Pixel));
    });
}

}  // namespace yolact_ros

#endif  // YOLACT_ROS__MASK_DECODER_HPP_
