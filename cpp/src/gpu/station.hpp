// Where groups of photos that lie on the device are run, one behind the other on one stream.
#pragma once

#include "detrt/contract.hpp"
#include "gpu/place.hpp"
#include "gpu/session.hpp"

namespace detrt {

// One session of the engine: the GPU goes from group to group without waiting for the host, and never runs the engine
// twice at a time, which would be no faster, and which TensorRT-RTX 1.6 does not survive (its contexts change each
// other's results).
class Station {
  public:
    Station(const Engine& engine, const ModelContract& contract, int batch, bool graph);

    // Enqueues preprocessing, network and the copy of the results of every row of the place.
    void enqueue(Place& place);

    // Waits until all that is enqueued has run.
    void wait() const;

  private:
    const ModelContract& contract_;
    Session session_;
    const DeviceTensor& images_;
    const DeviceTensor* sizes_;
};

}  // namespace detrt
