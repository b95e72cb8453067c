// SPDX-License-Identifier: Apache-2.0
// Tests mask_decoder.hpp. A plain program instead of gtest, which the ROS 2 wheels do not have.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "yolact_ros/mask_decoder.hpp"

namespace
{

int failures = 0;

void expect(bool condition, const std::string & what)
{
  if (!condition) {
    std::printf("FAILED: %s\n", what.c_str());
    ++failures;
  }
}

template<typename Call>
void expect_refused(Call && call, const std::string & text)
{
  try {
    call();
    expect(false, "an exception that says \"" + text + "\"");
  } catch (const std::invalid_argument & error) {
    const std::string got = error.what();
    expect(got.find(text) != std::string::npos, "\"" + text + "\" in \"" + got + "\"");
  }
}

yolact_ros::msg::Mask mask_of(
  std::uint32_t x_offset, std::uint32_t y_offset, std::uint32_t width, std::uint32_t height,
  std::uint32_t step, std::vector<std::uint8_t> data)
{
  yolact_ros::msg::Mask mask;
  mask.x_offset = x_offset;
  mask.y_offset = y_offset;
  mask.width = width;
  mask.height = height;
  mask.step = step;
  mask.data = std::move(data);
  return mask;
}

// 10 x 2 pixels at column 3, row 4. The rows are X........X and .XX.......; all padding bits are
// set, which a decoder must not see, and each row has a whole byte of padding more than it needs.
const yolact_ros::msg::Mask example =
  mask_of(3, 4, 10, 2, 3, {0x80, 0x7f, 0xff, 0x60, 0x3f, 0xff});

void test_pixels()
{
  const std::vector<std::uint8_t> expected = {1, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    0, 1, 1, 0, 0, 0, 0, 0, 0, 0};
  expect(yolact_ros::decode_mask(example) == expected, "decode_mask");

  std::vector<std::pair<std::size_t, std::size_t>> visited;
  yolact_ros::for_each_pixel(
    example, [&](std::size_t x, std::size_t y) {visited.emplace_back(x, y);});
  const std::vector<std::pair<std::size_t, std::size_t>> pixels = {
    {3, 4}, {12, 4}, {4, 5}, {5, 5}};
  expect(visited == pixels, "for_each_pixel");
  expect(yolact_ros::mask_area(example) == 4, "mask_area");

  std::vector<std::pair<std::size_t, std::size_t>> within;
  yolact_ros::for_each_pixel(
    example, 13, 6, [&](std::size_t x, std::size_t y) {within.emplace_back(x, y);});
  expect(within == pixels, "for_each_pixel within an image");
  expect(yolact_ros::decode_mask(example, 13, 6) == expected, "decode_mask within an image");
  expect(yolact_ros::mask_area(example, 13, 6) == 4, "mask_area within an image");

  for (std::size_t y = 0; y < 8; ++y) {
    for (std::size_t x = 0; x < 16; ++x) {
      bool inside = false;
      for (const auto & pixel : pixels) {
        inside = inside || pixel == std::make_pair(x, y);
      }
      expect(
        yolact_ros::mask_at(example, x, y) == inside,
        "mask_at " + std::to_string(x) + ", " + std::to_string(y));
    }
  }
}

void test_paint()
{
  // rows of 13 pixels of 2 bytes, then 5 bytes that belong to nobody
  const std::size_t step = 13 * 2 + 5;
  std::vector<std::uint8_t> image(6 * step, 0xee);
  yolact_ros::paint_mask(example, std::uint16_t{0x0102}, image.data(), 13, 6, step);
  std::vector<std::uint8_t> expected(6 * step, 0xee);
  const std::array<std::array<std::size_t, 2>, 4> pixels = {{{3, 4}, {12, 4}, {4, 5}, {5, 5}}};
  for (const auto & pixel : pixels) {
    const std::uint16_t value = 0x0102;
    std::memcpy(&expected[pixel[1] * step + pixel[0] * 2], &value, 2);
  }
  expect(image == expected, "paint_mask");

  using Color = std::array<std::uint8_t, 3>;
  std::vector<std::uint8_t> picture(2 * 2 * 3, 0);
  yolact_ros::paint_mask(mask_of(1, 1, 1, 1, 1, {0x80}), Color{7, 8, 9}, picture.data(), 2, 2, 6);
  expect(
    picture == std::vector<std::uint8_t>({0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 8, 9}),
    "paint_mask with three bytes a pixel");
}

void test_empty()
{
  const auto empty = mask_of(0, 0, 0, 0, 0, {});
  expect(yolact_ros::decode_mask(empty).empty(), "decode_mask of nothing");
  expect(!yolact_ros::mask_at(empty, 0, 0), "mask_at of nothing");
  expect(yolact_ros::mask_area(mask_of(0, 0, 0, 4000000000u, 0, {})) == 0, "rows without columns");
}

void test_contradictions()
{
  const auto narrow = mask_of(0, 0, 9, 1, 1, {0xff});
  expect_refused([&] {yolact_ros::decode_mask(narrow);}, "step of at least 2 bytes");
  expect_refused([&] {yolact_ros::mask_at(narrow, 0, 0);}, "width of 9, got 1");
  const auto brief = mask_of(0, 0, 8, 3, 1, {0xff, 0xff});
  expect_refused([&] {yolact_ros::mask_area(brief);}, "3 * 1 = 3 bytes of data, got 2");
  const auto lengthy = mask_of(0, 0, 8, 1, 1, {0xff, 0xff});
  expect_refused([&] {yolact_ros::decode_mask(lengthy);}, "bytes of data, got 2");
  // the products and sums must not wrap around at 32 bits
  const auto huge = mask_of(0, 0, 0xffffffffu, 16, 0x20000000u, {});
  expect_refused([&] {yolact_ros::decode_mask(huge);}, "= 8589934592 bytes");
  // no image has such columns or rows: at 32 bits, x - x_offset would be 1 and lie within the mask
  const auto beyond = mask_of(0xffffffffu, 0, 2, 1, 1, {0xc0});
  expect_refused([&] {yolact_ros::mask_at(beyond, 0, 0);}, "got columns 4294967295 to 4294967297");
  const auto below = mask_of(0, 0xffffffffu, 2, 1, 1, {0xc0});
  expect_refused([&] {yolact_ros::mask_area(below);}, "and rows 4294967295 to 4294967296");

  // whoever says how large the image is gets no pixel beyond it
  bool visited = false;
  const auto visit = [&](std::size_t, std::size_t) {visited = true;};
  expect_refused([&] {yolact_ros::for_each_pixel(example, 12, 6, visit);}, "columns 3 to 13");
  expect_refused([&] {yolact_ros::for_each_pixel(example, 13, 5, visit);}, "rows 4 to 6");
  expect(!visited, "no pixel of a refused mask");
  expect_refused([&] {yolact_ros::decode_mask(example, 12, 6);}, "image of 12x6 pixels");
  expect_refused([&] {yolact_ros::mask_area(example, 13, 5);}, "image of 13x5 pixels");

  std::vector<std::uint8_t> image(64, 0);
  const auto paint = [&](const yolact_ros::msg::Mask & mask, std::size_t step) {
      yolact_ros::paint_mask(mask, std::uint8_t{1}, image.data(), 8, 8, step);
    };
  expect_refused([&] {paint(mask_of(1, 0, 8, 1, 1, {0xff}), 8);}, "got columns 1 to 9");
  expect_refused([&] {paint(mask_of(0, 8, 8, 1, 1, {0xff}), 8);}, "rows 8 to 9");
  expect_refused([&] {paint(mask_of(0xffffffffu, 0, 1, 1, 1, {0x80}), 8);}, "to 4294967296");
  expect_refused([&] {paint(mask_of(0, 0, 1, 1, 1, {0x80}), 7);}, "at least 8 * 1 bytes, got 7");
  // an image of which height * step wraps around has been allocated with the rest
  const auto paint_far = [&](std::uint32_t height, std::size_t step) {
      yolact_ros::paint_mask(
        mask_of(0, 0, 1, 1, 1, {0x80}), std::uint8_t{1}, image.data(), 8, height, step);
    };
  const std::size_t half = std::numeric_limits<std::size_t>::max() / 2 + 1;
  expect_refused([&] {paint_far(2, half);}, "rows that fit into memory, got 2 of");
  expect_refused([&] {paint_far(0xffffffffu, half / 2);}, "rows that fit into memory");
  expect(image == std::vector<std::uint8_t>(64, 0), "an image that a refused mask left unchanged");
}

}  // namespace

int main()
{
  test_pixels();
  test_paint();
  test_empty();
  test_contradictions();
  std::printf(failures == 0 ? "all passed\n" : "%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
