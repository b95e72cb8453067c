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
///         instance.mask, message.image_width, message.image_height,
///         [&](std::size_t x, std::size_t y) { /* column x, row y of the image */ });
///     }
///
/// Every function throws std::invalid_argument when the fields of a message contradict each other:
/// anybody can publish on a topic, so a callback that must not end its process catches that. Those
/// that take the image's size also refuse a mask that reaches beyond it. The others cannot know the
/// size: the columns and rows that they hand out are below 2^32 - 1, and it is the caller who
/// compares them with an image before indexing it with them.
///
/// Nothing wraps around, not even where std::size_t has 32 bits: check_mask() works out sizes in 64.
#ifndef YOLACT_ROS__MASK_DECODER_HPP_
#define YOLACT_ROS__MASK_DECODER_HPP_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "yolact_ros/msg/mask.hpp"

namespace yolact_ros
{

namespace detail
{

/// Refuses a mask whose rectangle ends beyond `image_width` or `image_height`.
inline void check_rectangle(
  const msg::Mask & mask, std::uint32_t image_width, std::uint32_t image_height)
{
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

}  // namespace detail

/// Checks that `step` holds a row of `width` bits, that `data` has `height * step` bytes, that
/// std::size_t can count the pixels, and that the mask's rectangle lies within the largest image
/// that a message can describe.
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
  // where std::size_t has 32 bits, 2^29 bytes hold more pixels than it can count
  const std::uint64_t pixels = std::uint64_t{mask.height} * mask.width;
  if (pixels > std::uint64_t{std::numeric_limits<std::ptrdiff_t>::max()}) {
    throw std::invalid_argument(
      "mask: expected as many pixels as this machine can count, got " +
      std::to_string(mask.width) + " * " + std::to_string(mask.height));
  }
  const std::uint32_t most = std::numeric_limits<std::uint32_t>::max();  // of any image
  detail::check_rectangle(mask, most, most);
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
  detail::check_rectangle(mask, image_width, image_height);
}

/// Calls `visit(x, y)` for each pixel of the mask, from left to right and from top to bottom.
///
/// The pixels may lie beyond the image that they are for: see the overload that takes its size.
///
/// \param visit takes the pixel's column and row in the image, as two std::size_t.
/// \throws std::invalid_argument see check_mask(const msg::Mask &).
template<typename Visitor>
void for_each_pixel(const msg::Mask & mask, Visitor && visit)
{
  check_mask(mask);
  const std::size_t bytes_used = mask.width / 8 + (mask.width % 8 != 0 ? 1 : 0);
  for (std::size_t row = 0; bytes_used > 0 && row < mask.height; ++row) {
    const std::uint8_t * const bytes = mask.data.data() + row * mask.step;
    for (std::size_t i = 0; i < bytes_used; ++i) {
      for (std::size_t bit = 0; bytes[i] != 0 && bit < 8 && bit < mask.width - i * 8; ++bit) {
        if (bytes[i] & (0x80u >> bit)) {
          visit(mask.x_offset + i * 8 + bit, mask.y_offset + row);
        }
      }
    }
  }
}

/// Calls `visit(x, y)` for each pixel of the mask; all of them lie within the image.
///
/// \param image_width columns of the image, in pixels: InstanceArray::image_width.
/// \param image_height rows of the image, in pixels: InstanceArray::image_height.
/// \param visit takes the pixel's column and row in the image, as two std::size_t.
/// \throws std::invalid_argument see check_mask(const msg::Mask &, std::uint32_t, std::uint32_t).
///   `visit` has not been called then.
template<typename Visitor>
void for_each_pixel(
  const msg::Mask & mask, std::uint32_t image_width, std::uint32_t image_height, Visitor && visit)
{
  check_mask(mask, image_width, image_height);
  for_each_pixel(mask, std::forward<Visitor>(visit));
}

/// Decodes the mask's own rectangle, which may lie beyond the image that it is for: see the overload
/// that takes its size.
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

/// Decodes the mask's own rectangle, which lies within the image.
///
/// \param image_width columns of the image, in pixels: InstanceArray::image_width.
/// \param image_height rows of the image, in pixels: InstanceArray::image_height.
/// \return see decode_mask(const msg::Mask &).
/// \throws std::invalid_argument see check_mask(const msg::Mask &, std::uint32_t, std::uint32_t).
inline std::vector<std::uint8_t> decode_mask(
  const msg::Mask & mask, std::uint32_t image_width, std::uint32_t image_height)
{
  check_mask(mask, image_width, image_height);
  return decode_mask(mask);
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

/// Number of pixels that the object covers, which may lie beyond the image that it is for: see the
/// overload that takes its size.
///
/// \throws std::invalid_argument see check_mask(const msg::Mask &).
inline std::size_t mask_area(const msg::Mask & mask)
{
  std::size_t area = 0;
  for_each_pixel(mask, [&](std::size_t, std::size_t) {++area;});
  return area;
}

/// Number of pixels that the object covers; all of them lie within the image.
///
/// \param image_width columns of the image, in pixels: InstanceArray::image_width.
/// \param image_height rows of the image, in pixels: InstanceArray::image_height.
/// \throws std::invalid_argument see check_mask(const msg::Mask &, std::uint32_t, std::uint32_t).
inline std::size_t mask_area(
  const msg::Mask & mask, std::uint32_t image_width, std::uint32_t image_height)
{
  check_mask(mask, image_width, image_height);
  return mask_area(mask);
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
///   for an image_step that is too small, and for an image that no memory can hold. The image is
///   unchanged then.
template<typename Pixel>
void paint_mask(
  const msg::Mask & mask, const Pixel & value, void * image, std::uint32_t image_width,
  std::uint32_t image_height, std::size_t image_step)
{
  static_assert(std::is_trivially_copyable<Pixel>::value, "a pixel is copied byte by byte");
  check_mask(mask, image_width, image_height);
  if (image_step / sizeof(Pixel) < image_width) {
    throw std::invalid_argument(
      "image: expected a step of at least " + std::to_string(image_width) + " * " +
      std::to_string(sizeof(Pixel)) + " bytes, got " + std::to_string(image_step));
  }
  // where image_height * image_step wraps around, what the caller has allocated is smaller than that
  if (image_height > 0 && image_step > std::numeric_limits<std::size_t>::max() / image_height) {
    throw std::invalid_argument(
      "image: expected rows that fit into memory, got " + std::to_string(image_height) + " of " +
      std::to_string(image_step) + " bytes");
  }
  std::uint8_t * const bytes = static_cast<std::uint8_t *>(image);
  for_each_pixel(
    mask, [&](std::size_t x, std::size_t y) {
      std::memcpy(bytes + y * image_step + x * sizeof(Pixel), &value, sizeof(Pixel));
    });
}

}  // namespace yolact_ros

#endif  // YOLACT_ROS__MASK_DECODER_HPP_
