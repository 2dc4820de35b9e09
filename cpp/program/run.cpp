#include "run.hpp"

#include "bench.hpp"
#include "detrt/detrt.hpp"
#include "predict.hpp"

namespace detrt::program {

int run(const Arguments& asked) {
    const auto photos = find_photos(asked.sources);  // before the model is loaded, which takes longer
    auto engine = asked.engine;
    if (!asked.onnx.empty()) {
        engine = asked.keep;
        build_engine(asked.onnx, engine, {asked.batch.front(), asked.force});
    }
    if (asked.bench) return bench(engine, photos, asked);
    auto detector = Detector::open(engine, {asked.device, !asked.no_graph, asked.gpu_decode});
    return predict(detector, photos, asked);
}

}  // namespace detrt::program
