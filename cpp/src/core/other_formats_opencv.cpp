#include <cstring>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/other_formats.hpp"

namespace detrt {

std::optional<Pixels> decode_other_format(const Bytes& data) {
    const cv::Mat bgr = cv::imdecode(data, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
    if (bgr.empty()) return std::nullopt;
    Pixels pixels({bgr.rows, bgr.cols});
    cv::cvtColor(bgr, cv::Mat(bgr.rows, bgr.cols, CV_8UC3, pixels.data.data()), cv::COLOR_BGR2RGB);
    return pixels;
}

}  // namespace detrt
