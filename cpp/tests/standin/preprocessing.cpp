// The kernel's launch on the stand-in: the CPU's reference of the resize, as a piece of a stream's work.
#include <cstring>

#include "gpu/preprocess.hpp"

namespace detrt {
namespace {

struct Record {
    const std::uint8_t* pixels;
    Size photo, size;
    int top, left;
};
static_assert(sizeof(Record) <= kRecordBytes);

void preprocess(const Record& record, float* input, const ModelContract& contract) {
    Pixels photo(record.photo);
    if (record.pixels) std::memcpy(photo.data.data(), record.pixels, photo.data.size());
    const Placement placement{record.photo, contract.input_size, record.size, record.top, record.left};
    const auto small = record.pixels ? resize(photo, placement, contract.resize) : Pixels(contract.input_size);
    const auto plane = small.data.size() / 3;
    for (std::size_t i = 0; i < small.data.size(); ++i) {
        const auto channel = contract.bgr ? 2 - i % 3 : i % 3;
        input[channel * plane + i / 3] =
            static_cast<float>((small.data[i] * contract.scale - contract.mean[channel]) / contract.deviation[channel]);
    }
}

}  // namespace

bool fits_kernel(const Placement&) { return true; }

void write_record(void* record, const std::uint8_t* pixels, const Placement& placement) {
    const Record made{pixels, placement.photo, placement.size, placement.top, placement.left};
    std::memcpy(record, &made, sizeof made);
}

void enqueue_preprocessing(const void* records, int count, void* input, const std::string&,
                           const ModelContract& contract, cudaStream_t stream) {
    standin::enqueue(stream, [=, &contract] {
        const std::size_t floats =
            std::size_t(3) * std::size_t(contract.input_size.height) * std::size_t(contract.input_size.width);
        for (std::size_t i = 0; i < std::size_t(count); ++i) {
            Record record;
            std::memcpy(&record, static_cast<const char*>(records) + i * kRecordBytes, sizeof record);
            preprocess(record, static_cast<float*>(input) + i * floats, contract);
        }
    });
}

}  // namespace detrt
