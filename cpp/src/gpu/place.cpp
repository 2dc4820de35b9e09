#include "gpu/place.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/run_out.hpp"
#include "gpu/preprocess.hpp"

namespace detrt {
namespace {

constexpr std::size_t kLeastBytes = 1 << 20;   // of a row: 640x480 RGB and a little
constexpr std::size_t kMostBytes = 512 << 20;  // of a group, on the host and on the device each; larger is resized here

constexpr int kEnd = 32;  // pixels at the right end of a photo's last line
constexpr std::size_t kEndBytes = 3 * kEnd;

std::size_t bytes_of(Size size) { return std::size_t(3) * std::size_t(size.height) * std::size_t(size.width); }

std::shared_ptr<const Bytes> file_of(const Source& source) {
    if (const auto* path = std::get_if<std::filesystem::path>(&source.content))
        return std::make_shared<const Bytes>(read_bytes(*path));
    return std::get<std::shared_ptr<const Bytes>>(source.content);
}

// What libjpeg-turbo makes of a row's file, or the row's error.
std::optional<Pixels> pixels_or_error(Row& row) {
    try {
        return decode_photo(*row.file, row.name, false);  // it lies upright, or shall not be turned
    } catch (const ImageError& error) {
        row.error = std::make_shared<const ImageError>(error);
        return std::nullopt;
    }
}

// Whether so many pixels are all alike.
bool is_flat(const std::uint8_t* pixels, int count) { return std::equal(pixels, pixels + 3 * (count - 1), pixels + 3); }

}  // namespace

Place::Place(const ModelContract& contract, int batch, bool gpu_decode)
    : contract_(contract),
      most_bytes_(kMostBytes / std::size_t(batch)),
      chip_(gpu_decode ? JpegDecoder::on_this_gpu() : nullptr),
      stream_(new_stream()),
      sent_(new_event()),
      done_(new_event()),
      rows_(std::size_t(batch)),
      records_(pinned_memory(kRecordBytes * std::size_t(batch))),
      sizes_(pinned_memory(2 * sizeof(std::int64_t) * std::size_t(batch))),
      ends_(pinned_memory(kEndBytes * std::size_t(batch))),
      device_records_(device_memory(kRecordBytes * std::size_t(batch))) {}

void Place::clear() {
    if (chip_) check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");  // it may still read the files
    for (auto& row : rows_) {
        row.placement.reset();
        row.error.reset();
        row.file.reset();
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

void Place::decode_on_chip() {
    std::vector<Row*> rows;
    std::vector<JpegOnItsWay> group;
    for (auto& row : rows_) {
        if (!row.file) continue;
        rows.push_back(&row);
        group.push_back({static_cast<const std::uint8_t*>(row.host.get()), row.file_bytes, row.sent.photo,
                         static_cast<std::uint8_t*>(row.device.get())});
    }
    if (!group.empty() && !chip_->decode(group, stream_.get()))
        for (std::size_t i = 0; i < group.size(); ++i) {  // one is damaged, and the others shall not wait for the CPU
            check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
            if (!chip_->decode({group[i]}, stream_.get())) decode_here(*rows[i]);
        }
    for (const auto* row : rows) {
        if (!row->file) continue;
        const auto size = row->sent.photo;
        const auto bytes = std::min(kEndBytes, 3 * std::size_t(size.width));
        const auto* end = static_cast<const std::uint8_t*>(row->device.get()) + bytes_of(size);
        copy(static_cast<std::uint8_t*>(ends_.get()) + kEndBytes * std::size_t(row - rows_.data()), end - bytes, bytes,
             stream_.get());
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
    find_damaged();
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
    const auto file = file_of(source);
    try {
        if (const auto size = jpeg_size(*file, source.name, source.upright)) {
            const auto placement = place(*size, contract_.input_size, contract_.resize);
            if (fits(placement)) {
                if (!leave_to_chip(row, file, source.name, *size)) {
                    decode_jpeg(*file, *size, room(row, bytes_of(*size)));
                    upload(row, placement);
                }
                row.placement = row.sent = placement;
                return;
            }
        }
    } catch (const Error&) {
        throw;
    } catch (const std::runtime_error&) {
        // damaged, and what follows says so by name
    }
    send_pixels(row, decode_photo(*file, source.name, source.upright));
}

bool Place::leave_to_chip(Row& row, const std::shared_ptr<const Bytes>& file, const std::string& name, Size size) {
    if (!chip_) return false;
    const auto header = jpeg_header_of(*file);
    const auto run_out = header ? run_out_of(*file, *header) : std::nullopt;
    if (!run_out || !chip_->takes(*file, size)) return false;
    row.file_bytes = run_out->bytes(*file);
    run_out->write(*file, room(row, std::max(row.file_bytes, bytes_of(size))));
    row.file = file;
    row.name = name;
    return true;
}

// What the chip refused.
void Place::decode_here(Row& row) {
    row.placement.reset();
    if (const auto pixels = pixels_or_error(row)) send_pixels(row, *pixels);
    row.file.reset();
}

// The chip does not see where a file's data end early, but their run-out shows: the photo's last pixels are all alike.
// There libjpeg-turbo has the last word.
void Place::find_damaged() {
    const auto* end = static_cast<const std::uint8_t*>(ends_.get());
    for (auto& row : rows_) {
        const bool doubtful = row.file && is_flat(end, std::min(kEnd, row.sent.photo.width));
        if (doubtful && !pixels_or_error(row)) row.placement.reset();
        end += kEndBytes;
    }
}

// Brings decoded pixels to the device; those of a huge photo at the network's size already.
void Place::send_pixels(Row& row, const Pixels& pixels) {
    const auto placement = place(pixels.size, contract_.input_size, contract_.resize);
    const bool small = fits(placement);
    const Pixels reduced = small ? Pixels() : resize(pixels, placement, contract_.resize);
    const Pixels& sent = small ? pixels : reduced;
    std::memcpy(room(row, sent.data.size()), sent.data.data(), sent.data.size());
    upload(row, small ? placement : Placement{placement.input, placement.input, placement.input});
    row.placement = placement;
}

std::uint8_t* Place::room(Row& row, std::size_t bytes) {
    if (row.bytes < bytes) {
        const auto roomy = std::max(kLeastBytes, bytes * 5 / 4);
        check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");  // the old room may still be read
        row.host = pinned_memory(roomy);
        row.device = device_memory(roomy);
        row.bytes = roomy;  // not where there was no memory
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
