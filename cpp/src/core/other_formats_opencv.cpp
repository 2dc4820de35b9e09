#include <cstring>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/other_formats.hpp"

namespace detrt {

std::optional<Pixels> decode_other_format(const Bytes& data, const std::string& name) {
    const cv::Mat bgr = cv::imdecode(data, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
    if (bgr.empty()) return std::nullopt;
    refuse_bomb({bgr.rows, bgr.cols}, name);  // late: OpenCV tells no size before it decodes
    Pixels pixels({bgr.rows, bgr.cols});
    cv::cvtColor(bgr, cv::Mat(bgr.rows, bgr.cols, CV_8UC3, pixels.data.data()), cv::COLOR_BGR2RGB);
    return pixels;
}

}  // namespace detrt
