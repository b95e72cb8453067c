// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdio>

#include "messages.hpp"
#include "yolact_ros/mask_decoder.hpp"
#include "yolact_ros/msg/instance_array.hpp"

int main()
{
  yolact_ros::msg::InstanceArray message;
  message.image_width = 10;
  message.image_height = 1;
  message.instances.resize(1);
  auto & mask = message.instances[0].mask;
  mask.x_offset = 7;
  mask.width = 3;
  mask.height = 1;
  mask.step = 1;
  mask.data = {0xa0};
  for (const auto & instance : message.instances) {
    yolact_ros::for_each_pixel(
      instance.mask, message.image_width, message.image_height,
      [](std::size_t x, std::size_t y) {std::printf("%zu,%zu ", x, y);});
  }
  message.instances[0].class_name = "cup";
  for (const auto value : picture_of(message, "cup")) {
    std::printf("%d ", value);
  }
  std::printf("%zu ", picture_of(message, "mug").size());
  return 0;
}
