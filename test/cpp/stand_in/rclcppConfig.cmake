# SPDX-License-Identifier: Apache-2.0
# In the place of rclcpp where there is none: see rclcpp/rclcpp.hpp beside this file.
add_library(rclcpp::rclcpp INTERFACE IMPORTED)
target_include_directories(rclcpp::rclcpp INTERFACE "${CMAKE_CURRENT_LIST_DIR}")
