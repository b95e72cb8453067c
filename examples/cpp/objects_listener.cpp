// SPDX-License-Identifier: Apache-2.0
// Says of each object where its box is, how high, and how sure that is.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "rclcpp/rclcpp.hpp"
#include "yolact_ros/msg/object_array.hpp"
#include "yolact_ros/objects.hpp"

std::string describe(const yolact_ros::msg::Object & object)
{
  // The box as nodes without rotations want it: along the axes of the header's frame.
  const auto corners = yolact_ros::box_corners(object);
  yolact_ros::Vector low = corners[0], high = corners[0];
  for (const auto & corner : corners) {
    for (std::size_t i = 0; i < 3; ++i) {
      low[i] = std::min(low[i], corner[i]);
      high[i] = std::max(high[i], corner[i]);
    }
  }
  char text[256];
  std::snprintf(
    text, sizeof text, "%s %.2f: from (%.3f, %.3f, %.3f) to (%.3f, %.3f, %.3f) m, +- %.1f mm, %s",
    object.class_name.c_str(), object.score, low[0], low[1], low[2], high[0], high[1], high[2],
    1000.0 * yolact_ros::worst_deviation(object),
    yolact_ros::yaw_is_known(object) ? "yaw known" : "yaw not known");
  return text;
}

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  const auto node = std::make_shared<rclcpp::Node>("objects_listener");
  const auto subscription = node->create_subscription<yolact_ros::msg::ObjectArray>(
    "yolact/objects", 5, [&node](yolact_ros::msg::ObjectArray::ConstSharedPtr message) {
      RCLCPP_INFO(
        node->get_logger(), "%zu objects in %s", message->objects.size(),
        message->header.frame_id.c_str());
      for (const auto & object : message->objects) {
        RCLCPP_INFO(node->get_logger(), "%s", describe(object).c_str());
      }
    });
  rclcpp::spin(node);
  rclcpp::shutdown();
  return 0;
}
