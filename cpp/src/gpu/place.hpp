// Where the photos of one group lie on their way to the GPU: pinned and device memory that is used again and again.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/decoding.hpp"
#include "detrt/contract.hpp"
#include "detrt/error.hpp"
#include "detrt/images.hpp"
#include "gpu/cuda.hpp"
#include "gpu/jpeg.hpp"
#include "gpu/session.hpp"

namespace detrt {

// Room for one photo, made larger when a larger one comes.
struct Row {
    std::size_t bytes = 0;
    PinnedMemory host;
    DeviceMemory device;
    std::optional<Placement> placement;  // of the photo that was loaded
    Placement sent;                      // of what lies on the device: the photo, or a huge one made small
    std::shared_ptr<const Error> error;  // why there is none

    // Of a photo that the decoder chip is to decode:
    std::shared_ptr<const Bytes> file;  // and with its run-out on the host
    std::size_t file_bytes = 0;         // there
    std::string name;                   // for an error
};

// Room for a group of photos, and for what comes back. Different rows may be loaded by different threads at once.
class Place {
  public:
    Place(const ModelContract& contract, int batch, bool gpu_decode);

    int batch() const { return static_cast<int>(rows_.size()); }
    Row& row(int number) { return rows_[static_cast<std::size_t>(number)]; }

    // Forgets the photos; their memory stays.
    void clear();

    // Decodes a photo into a row and sends it to the device, or leaves it to the decoder chip; what is wrong with the
    // photo is the row's error.
    void load(int number, const Source& source);

    // Enqueues the decoding of what was left to the chip, once all rows are loaded.
    void decode_on_chip();

    // Rows that hold a photo.
    std::vector<int> loaded() const;

    // Enqueues the records of the photos behind them and makes `stream` wait for both; their device address.
    const void* send_records(cudaStream_t stream);

    // `orig_target_sizes` of every row in pinned memory; 1x1 where there is no photo.
    const std::int64_t* sizes();

    // Enqueues the copies of the outputs, and notes when they are done.
    void fetch(const std::vector<DeviceTensor>& outputs, cudaStream_t stream);

    // Waits for them, and reads them. A photo of which the chip did not see that it is damaged gets an error now.
    std::vector<Detections> collect();

  private:
    void load_source(Row& row, const Source& source);
    bool leave_to_chip(Row& row, const std::shared_ptr<const Bytes>& file, const std::string& name, Size size);
    void decode_here(Row& row);
    void find_damaged();
    void send_pixels(Row& row, const Pixels& pixels);
    std::uint8_t* room(Row& row, std::size_t bytes);
    void upload(Row& row, const Placement& sent);
    bool fits(const Placement& placement) const;

    const ModelContract& contract_;
    std::size_t most_bytes_;
    std::unique_ptr<JpegDecoder> chip_;
    Stream stream_;
    Event sent_, done_;
    std::vector<Row> rows_;
    PinnedMemory records_, sizes_, ends_;
    DeviceMemory device_records_;
    std::vector<PinnedMemory> results_;
    std::map<std::string, HostTensor> outputs_;
};

}  // namespace detrt
