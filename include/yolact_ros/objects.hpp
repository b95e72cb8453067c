// SPDX-License-Identifier: Apache-2.0
/// \file
/// What most subscribers of yolact_ros/msg/ObjectArray compute: an object's box, and how sure it is.
///
/// Header only, C++17, needs the generated message headers and the standard library. In a
/// CMakeLists.txt:
///
///     find_package(yolact_ros REQUIRED)
///     target_link_libraries(my_node PRIVATE yolact_ros::objects ${yolact_ros_TARGETS})
///
/// All lengths are metres in the frame of the ObjectArray's header. Nothing is checked: numbers that
/// are not finite lead to such numbers.
#ifndef YOLACT_ROS__OBJECTS_HPP_
#define YOLACT_ROS__OBJECTS_HPP_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "yolact_ros/msg/object.hpp"

namespace yolact_ros
{

/// x, y, z.
using Vector = std::array<double, 3>;

/// Variance of an angle of which nothing is known, pi^2 / 12: that of a uniform distribution over
/// half a turn.
constexpr double unknown_angle = 0.8224670334241132;

/// The box's own axes, as unit vectors.
inline std::array<Vector, 3> box_axes(const msg::Object & object)
{
  const auto & q = object.pose.pose.orientation;
  const double s = 2.0 / (q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w);
  return {{
    {1.0 - s * (q.y * q.y + q.z * q.z), s * (q.x * q.y + q.w * q.z), s * (q.x * q.z - q.w * q.y)},
    {s * (q.x * q.y - q.w * q.z), 1.0 - s * (q.x * q.x + q.z * q.z), s * (q.y * q.z + q.w * q.x)},
    {s * (q.x * q.z + q.w * q.y), s * (q.y * q.z - q.w * q.x), 1.0 - s * (q.x * q.x + q.y * q.y)}}};
}

/// The box's eight corners. Corner k lies at the upper end of axis a if bit a of k is set.
inline std::array<Vector, 8> box_corners(const msg::Object & object)
{
  const auto axes = box_axes(object);
  const auto & centre = object.pose.pose.position;
  const Vector half = {object.size.x / 2.0, object.size.y / 2.0, object.size.z / 2.0};
  std::array<Vector, 8> corners;
  for (std::size_t k = 0; k < corners.size(); ++k) {
    corners[k] = {centre.x, centre.y, centre.z};
    for (std::size_t a = 0; a < 3; ++a) {
      const double along = (k >> a) & 1u ? half[a] : -half[a];
      for (std::size_t i = 0; i < 3; ++i) {
        corners[k][i] += along * axes[a][i];
      }
    }
  }
  return corners;
}

/// Variance along a direction.
///
/// \param first index of the first of three rows and columns of the covariance: 0 for the position
///   of the centre (m^2), 3 for rotations (rad^2, about the direction).
/// \param direction a unit vector.
inline double variance_along(
  const msg::Object & object, const Vector & direction, std::size_t first = 0)
{
  double variance = 0.0;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      variance +=
        direction[i] * object.pose.covariance[(first + i) * 6 + first + j] * direction[j];
    }
  }
  return variance;
}

/// Standard deviation of the centre in its worst direction: the square root of the covariance's
/// largest eigenvalue (for a symmetric matrix of three rows: Smith 1961).
inline double worst_deviation(const msg::Object & object)
{
  const auto c = [&](std::size_t i, std::size_t j) {return object.pose.covariance[i * 6 + j];};
  const double mean = (c(0, 0) + c(1, 1) + c(2, 2)) / 3.0;
  const double a = c(0, 0) - mean, b = c(1, 1) - mean, d = c(2, 2) - mean;
  const double off = c(0, 1) * c(0, 1) + c(0, 2) * c(0, 2) + c(1, 2) * c(1, 2);
  const double spread = std::sqrt((a * a + b * b + d * d + 2.0 * off) / 6.0);
  if (spread == 0.0) {
    return std::sqrt(std::max(mean, 0.0));
  }
  const double determinant = a * (b * d - c(1, 2) * c(1, 2)) -
    c(0, 1) * (c(0, 1) * d - c(1, 2) * c(0, 2)) + c(0, 2) * (c(0, 1) * c(1, 2) - b * c(0, 2));
  const double cosine = determinant / (2.0 * spread * spread * spread);
  const double angle = std::acos(std::max(-1.0, std::min(1.0, cosine))) / 3.0;
  return std::sqrt(std::max(mean + 2.0 * spread * std::cos(angle), 0.0));
}

/// Whether anything is known of the box's rotation about its third axis, which is up where the node
/// knows what is up.
inline bool yaw_is_known(const msg::Object & object)
{
  return variance_along(object, box_axes(object)[2], 3) < 0.999 * unknown_angle;
}

}  // namespace yolact_ros

#endif  // YOLACT_ROS__OBJECTS_HPP_
