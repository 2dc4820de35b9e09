// DeformableAttention: value (N, cells, C), references (N, Q, 4 or 2), offsets (N, Q, heads * points * 2) and
// logits (N, Q, heads * points), all points of all levels; to (N, Q, C). Axes behind the second may be split further.
#include "elements.h"
#include "operation.h"

#include "deformable_attention.h"

#include <limits>
#include <numeric>
#include <stdexcept>

namespace detrt {
namespace {

using namespace nvinfer1;

enum Position { kValue, kReferences, kOffsets, kLogits, kOutput };

class DeformableAttention final : public Operation {
public:
    explicit DeformableAttention(Fields const& given) : fields_(given) {
        auto const shapes = fields_.integers("shapes");
        auto const points = fields_.integers("points");
        if (points.empty() || points.size() > DETRT_MAX_LEVELS || shapes.size() != 2 * points.size()) {
            throw std::invalid_argument("it has " + std::to_string(points.size()) + " levels of points and " +
                std::to_string(shapes.size()) + " sides of maps: there must be 1 to " +
                std::to_string(DETRT_MAX_LEVELS) + " levels with a height and a width each");
        }
        fixed_.level_count = static_cast<int>(points.size());
        for (size_t i = 0; i < points.size(); ++i) {
            fixed_.levels[i] = {checked(shapes[2 * i], 1), checked(shapes[2 * i + 1], 1), checked(points[i], 0)};
            points_ += points[i];
            cells_ += shapes[2 * i] * shapes[2 * i + 1];
        }
        fixed_.heads = checked(fields_.integer("heads"), 1);
        fixed_.discrete = fields_.has("discrete") && fields_.integer("discrete") != 0;
        fixed_.offset_scale = fields_.has("offset_scale") ? fields_.floats("offset_scale", 1)[0] : 0.5F;
        if (points_ == 0) {
            throw std::invalid_argument("it samples no points");
        }
    }

    int32_t inputs() const override { return 4; }
    int32_t outputs() const override { return 1; }

    DimsExprs shape(int32_t, DimsExprs const* inputs, IExprBuilder& build) const override {
        DimsExprs const& value = inputs[kValue];
        if (value.nbDims < 3 || inputs[kReferences].nbDims < 3) {
            throw std::invalid_argument("value and references have three axes at least");
        }
        DimsExprs result{};
        result.nbDims = 3;
        result.d[0] = value.d[0];
        result.d[1] = inputs[kReferences].d[1];
        result.d[2] = value.d[2];
        for (int32_t i = 3; i < value.nbDims; ++i) {
            result.d[2] = build.operation(DimensionOperation::kPROD, *result.d[2], *value.d[i]);
        }
        return result;
    }

    DataType type(int32_t, DataType const* inputs) const override { return inputs[kValue]; }

    bool takes(int32_t position, DataType const* types) const override {
        DataType const here = types[position];
        switch (position) {
        case kValue: return is_float(here);
        case kReferences: return here == types[kValue] || here == DataType::kFLOAT;
        case kOffsets:
        case kLogits: return here == types[kReferences];
        case kOutput: return here == types[kValue];
        default: return false;
        }
    }

    void check(PluginTensorDesc const* inputs) const override { problem(inputs); }
    void prepare() const override {}

    cudaError_t enqueue(PluginTensorDesc const* inputs, PluginTensorDesc const*, void const* const* from,
        void* const* to, cudaStream_t stream) const override {
        DetrtDeformableAttention run = problem(inputs);
        run.value = from[kValue];
        run.references = from[kReferences];
        run.offsets = from[kOffsets];
        run.logits = from[kLogits];
        run.output = to[0];
        return detrt_deformable_attention(&run, stream);
    }

    Fields const& fields() const override { return fields_; }

private:
    static int checked(int64_t value, int least) {
        if (value < least || value > std::numeric_limits<int>::max()) {
            throw std::invalid_argument("a size of it is " + std::to_string(value));
        }
        return static_cast<int>(value);
    }

    DetrtDeformableAttention problem(PluginTensorDesc const* inputs) const {
        Dims const& value = inputs[kValue].dims;
        Dims const& references = inputs[kReferences].dims;
        if (value.nbDims < 3 || references.nbDims < 3) {
            throw std::invalid_argument("value and references have three axes at least");
        }
        DetrtDeformableAttention run = fixed_;
        int64_t const channels = volume(value, 2);
        run.batch = checked(value.d[0], 0);
        run.queries = checked(references.d[1], 0);
        run.head_dim = checked(channels / run.heads, 1);
        run.reference_size = checked(volume(references, 2), 2);
        run.element = element_of(inputs[kValue].type);
        run.sampling_element = element_of(inputs[kReferences].type);
        int64_t const samples = int64_t{run.batch} * run.queries * run.heads * points_;
        bool const fits = value.d[1] == cells_ && channels % run.heads == 0 && references.d[0] == run.batch &&
            (run.reference_size == 4 || run.reference_size == 2) && volume(inputs[kOffsets].dims) == 2 * samples &&
            volume(inputs[kLogits].dims) == samples;
        if (!fits) {
            throw std::invalid_argument("its inputs' shapes do not go together, or not with " +
                std::to_string(run.heads) + " heads, " + std::to_string(points_) + " points and maps of " +
                std::to_string(cells_) + " cells in all");
        }
        return run;
    }

    Fields fields_;
    DetrtDeformableAttention fixed_{};
    int64_t points_ = 0;
    int64_t cells_ = 0;
};

} // namespace

Kind const& deformable_attention() {
    static Kind const kind{"DeformableAttention",
        {{"heads", nullptr, PluginFieldType::kINT32, 1}, {"shapes", nullptr, PluginFieldType::kINT32, 0},
            {"points", nullptr, PluginFieldType::kINT32, 0}, {"offset_scale", nullptr, PluginFieldType::kFLOAT32, 1},
            {"discrete", nullptr, PluginFieldType::kINT32, 1}},
        [](Fields const& fields) -> std::shared_ptr<Operation const> {
            return std::make_shared<DeformableAttention>(fields);
        }};
    return kind;
}

} // namespace detrt
