// SPDX-License-Identifier: Apache-2.0
// Gives mask_decoder.hpp random masks, most of which contradict themselves, and compares what it
// makes of them with the definition in Mask.msg, bit by bit. Built with AddressSanitizer and
// UndefinedBehaviorSanitizer, which end it at any byte that is read or written beyond a buffer.
//
//     fuzz_mask_decoder SEED SECONDS
//
// Prints how many masks there were and how many of them were decoded. Ends with 1, and the mask, at
// the first that is treated in another way.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "yolact_ros/mask_decoder.hpp"

namespace
{

using yolact_ros::msg::Mask;
using Pixels = std::vector<std::pair<std::size_t, std::size_t>>;

class Source
{
public:
  explicit Source(std::uint64_t seed)
  : engine_(seed) {}

  std::uint32_t below(std::uint32_t end)
  {
    return static_cast<std::uint32_t>(engine_() % end);
  }

  /// Mostly few, now and then so many that sums and products wrap around.
  std::uint32_t number(std::uint32_t few)
  {
    switch (below(10)) {
      case 0:
        return 0xffffffffu - below(few);
      case 1:
        return (1u << below(32)) + below(3) - 1;
      case 2:
        return static_cast<std::uint32_t>(engine_());
      default:
        return below(few);
    }
  }

  Mask mask()
  {
    Mask mask;
    mask.x_offset = number(40);
    mask.y_offset = number(40);
    mask.width = number(40);
    mask.height = number(12);
    mask.step = below(4) ? mask.width / 8 + (mask.width % 8 != 0) + below(3) : number(8);
    const std::uint64_t size = std::uint64_t{mask.height} * mask.step;
    const bool fits = size < 4096 && below(8) != 0;
    mask.data.resize(fits ? size : size % 61 + below(3));
    for (auto & byte : mask.data) {
      byte = static_cast<std::uint8_t>(engine_() & engine_());
    }
    mask.data.shrink_to_fit();  // so that the byte behind the last is nobody's
    return mask;
  }

private:
  std::mt19937_64 engine_;
};

/// Whether Mask.msg allows it, for an image of this size.
bool is_right(const Mask & mask, std::uint64_t image_width, std::uint64_t image_height)
{
  return std::uint64_t{mask.step} * 8 >= mask.width &&
         std::uint64_t{mask.height} * mask.step == mask.data.size() &&
         std::uint64_t{mask.x_offset} + mask.width <= image_width &&
         std::uint64_t{mask.y_offset} + mask.height <= image_height;
}

Pixels pixels_of(const Mask & mask)
{
  Pixels pixels;
  for (std::uint64_t i = 0; i < mask.data.size() * 8; ++i) {
    const std::uint64_t row = i / 8 / mask.step, column = i - row * mask.step * 8;
    if (column < mask.width && (mask.data[i / 8] >> (7 - i % 8) & 1)) {
      pixels.emplace_back(mask.x_offset + column, mask.y_offset + row);
    }
  }
  return pixels;
}

void expect(bool condition, const char * what)
{
  if (!condition) {
    throw std::logic_error(what);
  }
}

/// Whether a call goes through, or is refused with the one exception that it may throw.
template<typename Call>
bool accepts(Call && call)
{
  try {
    call();
    return true;
  } catch (const std::invalid_argument &) {
    return false;
  }
}

void check_pixels(const Mask & mask, const Pixels & pixels, Source & source)
{
  Pixels visited;
  const auto visit = [&](std::size_t x, std::size_t y) {visited.emplace_back(x, y);};
  yolact_ros::for_each_pixel(mask, visit);
  expect(visited == pixels, "for_each_pixel");
  expect(yolact_ros::mask_area(mask) == pixels.size(), "mask_area");
  const auto decoded = yolact_ros::decode_mask(mask);
  std::vector<std::uint8_t> expected(std::size_t{mask.height} * mask.width, 0);
  for (const auto & pixel : pixels) {
    expected[(pixel.second - mask.y_offset) * mask.width + pixel.first - mask.x_offset] = 1;
    expect(yolact_ros::mask_at(mask, pixel.first, pixel.second), "mask_at");
  }
  expect(decoded == expected, "decode_mask");
  for (int i = 0; i < 8; ++i) {
    const std::pair<std::size_t, std::size_t> pixel(
      mask.x_offset + source.number(50), mask.y_offset - std::size_t{source.number(3)});
    bool inside = false;
    for (const auto & other : pixels) {
      inside = inside || other == pixel;
    }
    expect(yolact_ros::mask_at(mask, pixel.first, pixel.second) == inside, "mask_at somewhere");
  }
}

void check_paint(const Mask & mask, std::uint32_t width, std::uint32_t height, Source & source)
{
  const std::size_t step = std::size_t{width} * 2 + source.below(3);
  const std::uint16_t value = 0x0102;
  std::vector<std::uint8_t> image(step * height), expected;
  const bool right = is_right(mask, width, height);
  const bool painted =
    accepts([&] {yolact_ros::paint_mask(mask, value, image.data(), width, height, step);});
  expect(painted == right, "paint_mask's answer");
  expected.resize(image.size());
  for (const auto & pixel : right ? pixels_of(mask) : Pixels()) {
    std::memcpy(&expected[pixel.second * step + pixel.first * 2], &value, 2);
  }
  expect(image == expected, "paint_mask");
}

bool check(const Mask & mask, Source & source)
{
  const bool right = is_right(mask, 0xffffffffu, 0xffffffffu);
  expect(accepts([&] {yolact_ros::check_mask(mask);}) == right, "check_mask");
  expect(accepts([&] {yolact_ros::decode_mask(mask);}) == right, "decode_mask's answer");
  expect(accepts([&] {yolact_ros::mask_area(mask);}) == right, "mask_area's answer");
  expect(accepts([&] {yolact_ros::mask_at(mask, 0, 0);}) == right, "mask_at's answer");
  if (right) {
    check_pixels(mask, pixels_of(mask), source);
  }

  const std::uint32_t width = source.number(90), height = source.number(60);
  const bool within = is_right(mask, width, height);
  std::size_t count = 0;
  const auto visit = [&](std::size_t x, std::size_t y) {
      expect(x < width && y < height, "a pixel beyond the image");
      ++count;
    };
  expect(
    accepts([&] {yolact_ros::for_each_pixel(mask, width, height, visit);}) == within,
    "for_each_pixel's answer within an image");
  expect(count == (within ? pixels_of(mask).size() : 0), "for_each_pixel within an image");
  expect(
    accepts([&] {yolact_ros::decode_mask(mask, width, height);}) == within &&
    accepts([&] {yolact_ros::mask_area(mask, width, height);}) == within,
    "decode_mask's and mask_area's answer within an image");
  if (width < 100 && height < 100) {
    check_paint(mask, width, height, source);
  }
  return right;
}

}  // namespace

int main(int argc, char ** argv)
{
  if (argc != 3) {
    std::fprintf(stderr, "usage: fuzz_mask_decoder SEED SECONDS\n");
    return 2;
  }
  Source source(std::strtoull(argv[1], nullptr, 10));
  const auto end = std::chrono::steady_clock::now() +
    std::chrono::duration<double>(std::strtod(argv[2], nullptr));
  std::uint64_t masks = 0, decoded = 0;
  while (std::chrono::steady_clock::now() < end) {
    const Mask mask = source.mask();
    ++masks;
    try {
      decoded += check(mask, source);
    } catch (const std::exception & error) {
      std::printf(
        "mask %llu: %s: x_offset %u, y_offset %u, width %u, height %u, step %u, %zu bytes\n",
        static_cast<unsigned long long>(masks), error.what(), mask.x_offset, mask.y_offset,
        mask.width, mask.height, mask.step, mask.data.size());
      return 1;
    }
  }
  std::printf(
    "%llu masks, %llu decoded\n", static_cast<unsigned long long>(masks),
    static_cast<unsigned long long>(decoded));
  return 0;
}
