// SPDX-License-Identifier: Apache-2.0
// Tests objects.hpp with numbers computed by hand.
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "yolact_ros/objects.hpp"

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

void expect_near(double got, double expected, const std::string & what)
{
  expect(
    std::abs(got - expected) < 1e-9,
    what + ": expected " + std::to_string(expected) + ", got " + std::to_string(got));
}

void expect_near(
  const yolact_ros::Vector & got, const yolact_ros::Vector & expected, const std::string & what)
{
  for (std::size_t i = 0; i < 3; ++i) {
    expect_near(got[i], expected[i], what + " [" + std::to_string(i) + "]");
  }
}

// 0.4 x 0.2 x 0.1 m at (1, 2, 3), turned by 90 degrees about z.
yolact_ros::msg::Object turned_box()
{
  yolact_ros::msg::Object object;
  object.pose.pose.position.x = 1.0;
  object.pose.pose.position.y = 2.0;
  object.pose.pose.position.z = 3.0;
  object.pose.pose.orientation.z = std::sqrt(0.5);
  object.pose.pose.orientation.w = std::sqrt(0.5);
  object.size.x = 0.4;
  object.size.y = 0.2;
  object.size.z = 0.1;
  return object;
}

void set(yolact_ros::msg::Object & object, std::size_t row, std::size_t column, double value)
{
  object.pose.covariance[row * 6 + column] = value;
  object.pose.covariance[column * 6 + row] = value;
}

void test_box()
{
  auto object = turned_box();
  auto axes = yolact_ros::box_axes(object);
  expect_near(axes[0], {0.0, 1.0, 0.0}, "first axis");
  expect_near(axes[1], {-1.0, 0.0, 0.0}, "second axis");
  expect_near(axes[2], {0.0, 0.0, 1.0}, "third axis");
  const auto corners = yolact_ros::box_corners(object);
  expect_near(corners[0], {1.1, 1.8, 2.95}, "lower ends");
  expect_near(corners[1], {1.1, 2.2, 2.95}, "upper end of the first axis");
  expect_near(corners[2], {0.9, 1.8, 2.95}, "upper end of the second axis");
  expect_near(corners[4], {1.1, 1.8, 3.05}, "upper end of the third axis");
  expect_near(corners[7], {0.9, 2.2, 3.05}, "upper ends");

  // the turn that takes x to y, y to z and z to x, with a quaternion of length 2
  auto & q = object.pose.pose.orientation;
  q.x = q.y = q.z = q.w = 1.0;
  axes = yolact_ros::box_axes(object);
  expect_near(axes[0], {0.0, 1.0, 0.0}, "first axis of the cyclic turn");
  expect_near(axes[1], {0.0, 0.0, 1.0}, "second axis of the cyclic turn");
  expect_near(axes[2], {1.0, 0.0, 0.0}, "third axis of the cyclic turn");
}

void test_deviations()
{
  auto object = turned_box();
  expect_near(yolact_ros::worst_deviation(object), 0.0, "without covariance");
  for (std::size_t i = 0; i < 3; ++i) {
    set(object, i, i, 4e-6);
  }
  expect_near(yolact_ros::worst_deviation(object), 2e-3, "the same in all directions");
  set(object, 2, 2, 25e-6);
  expect_near(yolact_ros::worst_deviation(object), 5e-3, "worst along z");
  // Eigenvalues 2, 8 and 25 (mm^2): 5 -+ 3 along (1, -1, 0) and (1, 1, 0).
  set(object, 0, 0, 5e-6);
  set(object, 1, 1, 5e-6);
  set(object, 0, 1, 3e-6);
  expect_near(yolact_ros::worst_deviation(object), 5e-3, "still along z");
  set(object, 2, 2, 1e-6);
  expect_near(yolact_ros::worst_deviation(object), std::sqrt(8e-6), "worst along a diagonal");
  const double h = std::sqrt(0.5);
  expect_near(yolact_ros::variance_along(object, {h, h, 0.0}), 8e-6, "variance along a diagonal");
  expect_near(yolact_ros::variance_along(object, {h, -h, 0.0}), 2e-6, "and across it");
  // Four on the diagonal and one elsewhere: 6, 3 and 3.
  for (std::size_t i = 0; i < 3; ++i) {
    set(object, i, i, 4e-6);
    set(object, i, (i + 1) % 3, 1e-6);
  }
  expect_near(yolact_ros::worst_deviation(object), std::sqrt(6e-6), "worst along x = y = z");
  // Eigenvalues 1, 4 and 16 along (2, 2, -1) / 3, (-1, 2, 2) / 3 and (2, -1, 2) / 3.
  set(object, 0, 0, 8e-6);
  set(object, 1, 1, 4e-6);
  set(object, 2, 2, 9e-6);
  set(object, 0, 1, -4e-6);
  set(object, 0, 2, 6e-6);
  set(object, 1, 2, -2e-6);
  expect_near(yolact_ros::worst_deviation(object), 4e-3, "worst along (2, -1, 2)");
  object.pose.covariance[0] = std::numeric_limits<double>::quiet_NaN();
  expect(!(yolact_ros::worst_deviation(object) < 1.0), "a deviation that is not a number");
}

void test_yaw()
{
  auto object = turned_box();
  for (std::size_t i = 3; i < 6; ++i) {
    set(object, i, i, yolact_ros::unknown_angle);
  }
  expect(!yolact_ros::yaw_is_known(object), "nothing is known of the rotation");
  set(object, 3, 3, 1e-4);
  set(object, 4, 4, 1e-4);
  expect(!yolact_ros::yaw_is_known(object), "the tilt alone is known");
  set(object, 5, 5, 1e-3);
  expect(yolact_ros::yaw_is_known(object), "the yaw is known");
  // up is x: the third axis of the cyclic turn
  auto & q = object.pose.pose.orientation;
  q.x = q.y = q.z = q.w = 0.5;
  set(object, 3, 3, yolact_ros::unknown_angle);
  expect(!yolact_ros::yaw_is_known(object), "not known about the box's own axis");
  expect_near(yolact_ros::variance_along(object, {0.0, 0.0, 1.0}, 3), 1e-3, "about z");
}

}  // namespace

int main()
{
  test_box();
  test_deviations();
  test_yaw();
  std::printf(failures == 0 ? "all passed\n" : "%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
