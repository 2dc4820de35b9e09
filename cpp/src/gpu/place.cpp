#include "gpu/place.hpp"

#include <algorithm>
#include <cstring>

#include "gpu/jpeg.hpp"
#include "gpu/preprocess.hpp"

namespace detrt {
namespace {

constexpr std::size_t kLeastBytes = 1 << 20;   // of a row: 640x480 RGB and a little
constexpr std::size_t kMostBytes = 512 << 20;  // of a group, on the host and on the device each; larger is resized here

std::size_t bytes_of(Size size) { return std::size_t(3) * std::size_t(size.height) * std::size_t(size.width); }

}  // namespace

Place::Place(const ModelContract& contract, int batch, bool gpu_decode)
    : contract_(contract),
      most_bytes_(kMostBytes / std::size_t(batch)),
      gpu_decode_(gpu_decode && has_gpu_jpeg()),
      stream_(new_stream(true)),  // decoding does not wait behind the network of the group before
      sent_(new_event()),
      done_(new_event()),
      rows_(std::size_t(batch)),
      records_(pinned_memory(kRecordBytes * std::size_t(batch))),
      sizes_(pinned_memory(2 * sizeof(std::int64_t) * std::size_t(batch))),
      device_records_(device_memory(kRecordBytes * std::size_t(batch))) {}

void Place::clear() {
    for (auto& row : rows_) {
        row.placement.reset();
        row.error.reset();
    }
}

void Place::load(int number, const Source& source) {
    auto& row = this->row(number);
    try {
        load_source(row, source);
    } catch (const ImageError& error) {
        row.error = std::make_shared<const ImageError>(error);
    }
}

std::vector<int> Place::loaded() const {
    std::vector<int> numbers;
    for (std::size_t i = 0; i < rows_.size(); ++i)
        if (rows_[i].placement) numbers.push_back(static_cast<int>(i));
    return numbers;
}

const void* Place::send_records(cudaStream_t stream) {
    auto* record = static_cast<std::uint8_t*>(records_.get());
    for (const auto& row : rows_) {
        write_record(record, row.placement ? static_cast<const std::uint8_t*>(row.device.get()) : nullptr, row.sent);
        record += kRecordBytes;
    }
    copy(device_records_.get(), records_.get(), kRecordBytes * rows_.size(), stream_.get());
    check(cudaEventRecord(sent_.get(), stream_.get()), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream, sent_.get(), 0), "cudaStreamWaitEvent");
    return device_records_.get();
}

const std::int64_t* Place::sizes() {
    auto* sizes = static_cast<std::int64_t*>(sizes_.get());
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const auto size = rows_[i].placement ? size_to_feed(*rows_[i].placement) : std::array<std::int64_t, 2>{1, 1};
        std::copy(size.begin(), size.end(), sizes + 2 * i);
    }
    return sizes;
}

void Place::fetch(const std::vector<DeviceTensor>& outputs, cudaStream_t stream) {
    if (results_.empty())
        for (const auto& tensor : outputs) {
            results_.push_back(pinned_memory(tensor.bytes));
            outputs_[tensor.name] = {results_.back().get(), tensor.shape, tensor.dtype};
        }
    for (std::size_t i = 0; i < outputs.size(); ++i)
        copy(results_[i].get(), outputs[i].memory.get(), outputs[i].bytes, stream);
    check(cudaEventRecord(done_.get(), stream), "cudaEventRecord");
}

std::vector<Detections> Place::collect() {
    check(cudaEventSynchronize(done_.get()), "cudaEventSynchronize");
    const auto numbers = loaded();
    std::vector<Placement> placements;
    for (const int number : numbers) placements.push_back(*row(number).placement);
    return decode(contract_, outputs_, placements, numbers);
}

void Place::load_source(Row& row, const Source& source) {
    if (const auto* pixels = std::get_if<std::shared_ptr<const Pixels>>(&source.content)) {
        send_pixels(row, **pixels);
        return;
    }
    const auto* path = std::get_if<std::filesystem::path>(&source.content);
    const Bytes read = path ? read_bytes(*path) : Bytes();
    const Bytes& file = path ? read : *std::get<std::shared_ptr<const Bytes>>(source.content);
    try {
        const auto size = jpeg_size(file, source.name, source.upright);
        if (size) {
            const auto placement = place(*size, contract_.input_size, contract_.resize);
            if (fits(placement)) {
                auto* into = room(row, *size);
                row.sent = placement;
                if (!gpu_decode_ ||
                    !decode_jpeg_on_gpu(file, *size, static_cast<std::uint8_t*>(row.device.get()), stream_.get())) {
                    decode_jpeg(file, *size, into);
                    upload(row, placement);
                }
                row.placement = placement;
                return;
            }
        }
    } catch (const Error&) {
        throw;
    } catch (const std::runtime_error&) {
        // damaged, and what follows says so by name
    }
    send_pixels(row, decode_photo(file, source.name, source.upright));
}

// Brings decoded pixels to the device; those of a huge photo at the network's size already.
void Place::send_pixels(Row& row, const Pixels& pixels) {
    const auto placement = place(pixels.size, contract_.input_size, contract_.resize);
    const bool small = fits(placement);
    const Pixels reduced = small ? Pixels() : resize(pixels, placement, contract_.resize);
    const Pixels& sent = small ? pixels : reduced;
    std::memcpy(room(row, sent.size), sent.data.data(), sent.data.size());
    upload(row, small ? placement : Placement{placement.input, placement.input, placement.input});
    row.placement = placement;
}

std::uint8_t* Place::room(Row& row, Size size) {
    if (row.bytes < bytes_of(size)) {
        row.bytes = std::max(kLeastBytes, bytes_of(size) * 5 / 4);
        check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");  // the old room may still be read
        row.host = pinned_memory(row.bytes);
        row.device = device_memory(row.bytes);
    }
    return static_cast<std::uint8_t*>(row.host.get());
}

void Place::upload(Row& row, const Placement& sent) {
    row.sent = sent;
    copy(row.device.get(), row.host.get(), bytes_of(sent.photo), stream_.get());
}

bool Place::fits(const Placement& placement) const {
    return bytes_of(placement.photo) <= most_bytes_ && fits_kernel(placement);
}

}  // namespace detrt
