// ONNX files are Protocol Buffers; the field numbers below are those of onnx.proto (ModelProto and below). A dozen
// fields of a format that cannot change do not call for a code generator and its library.
#include "core/onnx_file.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <stdexcept>

#include "core/sha256.hpp"

namespace detrt {
namespace {

// A field of a message: a number, or bytes that may be a message again; `whole` is all of it, as it lies in the file.
struct Field {
    int id;
    std::string_view bytes;
    std::uint64_t number;
    std::string_view whole;
};

class Message {
  public:
    explicit Message(std::string_view data) : data_(data) {}

    // Calls `take` for every field.
    template <typename Take>
    void each(Take take) const {
        std::string_view rest = data_;
        while (!rest.empty()) {
            const auto start = rest;
            const auto key = varint(rest);
            std::string_view bytes;
            std::uint64_t number = 0;
            switch (key & 7) {
                case 0:
                    number = varint(rest);
                    break;
                case 1:
                    skip(rest, 8);
                    break;
                case 2:
                    bytes = skip(rest, varint(rest));
                    break;
                case 5:
                    skip(rest, 4);
                    break;
                default:
                    throw std::runtime_error("it has a field of unknown kind");
            }
            take(Field{static_cast<int>(key >> 3), bytes, number, start.substr(0, start.size() - rest.size())});
        }
    }

    std::string_view bytes(int wanted) const {
        std::string_view found;
        each([&](const Field& field) {
            if (field.id == wanted) found = field.bytes;
        });
        return found;
    }

    std::string text(int wanted) const { return std::string(bytes(wanted)); }
    Message message(int wanted) const { return Message(bytes(wanted)); }

    std::vector<Message> messages(int wanted) const {
        std::vector<Message> found;
        each([&](const Field& field) {
            if (field.id == wanted) found.emplace_back(field.bytes);
        });
        return found;
    }

    std::int64_t number(int wanted, std::int64_t otherwise) const {
        each([&](const Field& field) {
            if (field.id == wanted) otherwise = static_cast<std::int64_t>(field.number);
        });
        return otherwise;
    }

  private:
    static std::uint64_t varint(std::string_view& rest) {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<std::uint8_t>(skip(rest, 1)[0]);
            value |= std::uint64_t(byte & 127) << shift;
            if (byte < 128) return value;
        }
        throw std::runtime_error("it has a number without an end");
    }

    static std::string_view skip(std::string_view& rest, std::uint64_t count) {
        if (count > rest.size()) throw std::runtime_error("it ends too early");
        const auto skipped = rest.substr(0, count);
        rest.remove_prefix(count);
        return skipped;
    }

    std::string_view data_;
};

// TensorProto.DataType by NumPy's names.
std::string dtype_of(std::int64_t type) {
    static const std::map<std::int64_t, std::string> names = {{1, "float32"},  {2, "uint8"},    {3, "int8"},
                                                              {6, "int32"},    {7, "int64"},    {9, "bool"},
                                                              {10, "float16"}, {11, "float64"}, {16, "bfloat16"}};
    const auto found = names.find(type);
    return found == names.end() ? "type " + std::to_string(type) : found->second;
}

TensorSpec spec_of(const Message& value_info) {
    const auto tensor = value_info.message(2).message(1);  // TypeProto.tensor_type
    TensorSpec spec{value_info.text(1), {}, dtype_of(tensor.number(1, 0))};
    for (const auto& axis : tensor.message(2).messages(1)) spec.shape.push_back(axis.number(1, -1));
    return spec;
}

// Adds the file that holds a tensor's values, where they do not lie in it (TensorProto.data_location, .external_data).
void add_file_of(const Message& tensor, std::set<std::string>& files) {
    if (tensor.number(14, 0) != 1) return;
    for (const auto& entry : tensor.messages(13))
        if (entry.text(1) == "location") files.insert(entry.text(2));
}

std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value > 127; value >>= 7) bytes += static_cast<char>(value | 128);
    return bytes + static_cast<char>(value);
}

// A field that holds a message.
std::string embedded(int id, const std::string& message) {
    return varint(std::uint64_t(id) << 3 | 2) + varint(message.size()) + message;
}

// The message with every message at the end of a path of fields replaced by what `edit` makes of it.
std::string rewritten(std::string_view message, const std::vector<int>& path, std::size_t depth,
                      const std::function<std::string(std::string_view)>& edit) {
    if (depth == path.size()) return edit(message);
    std::string made;
    Message(message).each([&](const Field& field) {
        if (field.id == path[depth])
            made += embedded(field.id, rewritten(field.bytes, path, depth + 1, edit));
        else
            made += field.whole;
    });
    return made;
}

}  // namespace

std::string with_batch(const std::string& serialized, std::int64_t batch) {
    const auto open_axes_to = [](const std::string& replacement) {
        return [=](std::string_view axis) { return Message(axis).number(1, -1) < 0 ? replacement : std::string(axis); };
    };
    // model.graph, its inputs, outputs or inner values; type.tensor_type.shape.dim
    auto made =
        rewritten(serialized, {7, 11, 2, 1, 2, 1}, 0, open_axes_to(varint(1 << 3) + varint(std::uint64_t(batch))));
    for (const int values : {12, 13})  // a named axis may contradict the number that it now is; the parser infers it
        made = rewritten(made, {7, values, 2, 1, 2, 1}, 0, open_axes_to(""));
    return made;
}

OnnxFile onnx_file_from(std::string_view serialized) {
    const Message model(serialized);
    const auto graph = model.message(7);
    if (graph.messages(1).empty()) throw std::runtime_error("it holds a graph without any node");
    OnnxFile file;
    for (const auto& entry : model.messages(14)) file.metadata[entry.text(1)] = entry.text(2);
    std::set<std::string> fixed;
    for (const auto& initializer : graph.messages(5)) {
        fixed.insert(initializer.text(8));
        add_file_of(initializer, file.weights);
    }
    for (const auto& node : graph.messages(1))
        for (const auto& attribute : node.messages(5)) add_file_of(attribute.message(5), file.weights);
    for (const auto& value : graph.messages(11))
        if (!fixed.count(value.text(1))) file.inputs.push_back(spec_of(value));
    for (const auto& value : graph.messages(12)) file.outputs.push_back(spec_of(value));
    return file;
}

std::string sha256_of_model(const std::filesystem::path& path, std::string_view serialized, const OnnxFile& file) {
    auto digests = sha256_of(serialized.data(), serialized.size());
    const auto own = digests.size();
    for (const auto& name : file.weights) {
        const auto beside = path.parent_path() / name;
        if (!std::filesystem::is_regular_file(beside)) continue;
        std::ifstream weights(beside, std::ios::binary);
        const std::string data{std::istreambuf_iterator<char>(weights), {}};
        digests += sha256_of(data.data(), data.size());
    }
    return digests.size() == own ? digests : sha256_of(digests.data(), digests.size());
}

}  // namespace detrt
