// SPDX-License-Identifier: Apache-2.0
// In the place of rclcpp where there is none: as much of its interface as examples/cpp uses. spin()
// delivers one message with one object; what is logged is printed.
#ifndef RCLCPP__RCLCPP_HPP_
#define RCLCPP__RCLCPP_HPP_

#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#define RCLCPP_INFO(logger, ...) \
  (std::printf("[%s] ", (logger).c_str()), std::printf(__VA_ARGS__), std::printf("\n"))

namespace rclcpp
{

class Node
{
public:
  explicit Node(const std::string & name)
  : name_(name) {}

  const std::string & get_logger() const {return name_;}

  template<typename Message, typename Callback>
  std::shared_ptr<int> create_subscription(
    const std::string & topic, std::size_t depth, Callback && callback)
  {
    deliver_ = [topic, depth, callback] {
        std::printf("%s, depth %zu\n", topic.c_str(), depth);
        auto message = std::make_shared<Message>();
        message->header.frame_id = "camera";
        message->objects.resize(1);
        auto & object = message->objects[0];
        object.class_name = "box";
        object.score = 0.75f;
        object.pose.pose.position.z = 0.5;
        object.size.x = 0.2;
        object.size.y = 0.1;
        object.size.z = 0.06;
        object.pose.covariance[14] = 4e-6;  // z
        callback(message);
      };
    return std::make_shared<int>();
  }

  void deliver() {deliver_();}

private:
  std::string name_;
  std::function<void()> deliver_;
};

inline void init(int, char **) {}
inline void spin(const std::shared_ptr<Node> & node) {node->deliver();}
inline void shutdown() {}

}  // namespace rclcpp

#endif  // RCLCPP__RCLCPP_HPP_
