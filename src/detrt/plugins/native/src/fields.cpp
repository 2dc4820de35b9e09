#include "fields.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace detrt {
namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

constexpr char kMark[8] = {'d', 'e', 't', 'r', 't', 'f', 'l', '1'};
constexpr int32_t kMostElements = 1 << 28;

size_t width_of(PluginFieldType type) {
    switch (type) {
    case PluginFieldType::kINT8:
    case PluginFieldType::kCHAR: return 1;
    case PluginFieldType::kFLOAT16:
    case PluginFieldType::kINT16: return 2;
    case PluginFieldType::kFLOAT32:
    case PluginFieldType::kINT32: return 4;
    case PluginFieldType::kFLOAT64: return 8;
#if DETRT_HAS_INT64_FIELDS
    case PluginFieldType::kINT64: return 8;
#endif
    default: return 0; // of no use here
    }
}

template <typename T>
std::vector<T> values(std::vector<char> const& data) {
    std::vector<T> result(data.size() / sizeof(T));
    std::memcpy(result.data(), data.data(), result.size() * sizeof(T));
    return result;
}

template <typename T>
std::vector<int64_t> widened(std::vector<char> const& data) {
    auto const narrow = values<T>(data);
    return {narrow.begin(), narrow.end()};
}

template <typename T>
void append(std::vector<char>& to, T const& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    auto const* first = reinterpret_cast<char const*>(&value);
    to.insert(to.end(), first, first + sizeof(T));
}

class Reader {
public:
    Reader(void const* bytes, size_t size) : at_(static_cast<char const*>(bytes)), left_(bytes ? size : 0) {}

    char const* take(size_t size) {
        if (size > left_) {
            throw std::invalid_argument("the serialised plugin is cut off");
        }
        char const* taken = at_;
        at_ += size;
        left_ -= size;
        return taken;
    }

    int32_t integer() {
        int32_t value;
        std::memcpy(&value, take(sizeof(value)), sizeof(value));
        return value;
    }

    int32_t length() {
        int32_t const value = integer();
        if (value < 0 || value > kMostElements) {
            throw std::invalid_argument("the serialised plugin is damaged");
        }
        return value;
    }

    bool done() const { return left_ == 0; }

private:
    char const* at_;
    size_t left_;
};

} // namespace

Fields::Fields(nvinfer1::PluginFieldCollection const& given) {
    for (int32_t i = 0; i < given.nbFields; ++i) {
        PluginField const& field = given.fields[i];
        size_t const width = width_of(field.type);
        if (!field.name || !field.data || width == 0 || field.length < 0) {
            continue; // a field of no use here, or one that only announces its name
        }
        auto const* data = static_cast<char const*>(field.data);
        add({field.name, field.type, field.length, {data, data + width * static_cast<size_t>(field.length)}});
    }
    collect();
}

Fields::Fields(void const* bytes, size_t size) {
    Reader reader(bytes, size);
    if (std::memcmp(reader.take(sizeof(kMark)), kMark, sizeof(kMark)) != 0) {
        throw std::invalid_argument("the serialised plugin is of another make or version");
    }
    for (int32_t left = reader.length(); left > 0; --left) {
        auto const name_length = static_cast<size_t>(reader.length());
        std::string name(reader.take(name_length), name_length);
        auto const type = static_cast<PluginFieldType>(reader.integer());
        int32_t const length = reader.length();
        size_t const size_of_data = width_of(type) * static_cast<size_t>(length);
        char const* data = reader.take(size_of_data);
        add({std::move(name), type, length, {data, data + size_of_data}});
    }
    if (!reader.done()) {
        throw std::invalid_argument("the serialised plugin is longer than it says");
    }
    collect();
}

Fields::Fields(Fields const& other) : fields_(other.fields_) { collect(); }

bool Fields::has(std::string const& name) const {
    return std::any_of(fields_.begin(), fields_.end(), [&](Field const& field) { return field.name == name; });
}

size_t Fields::length(std::string const& name) const { return static_cast<size_t>(find(name).length); }

std::vector<int64_t> Fields::integers(std::string const& name) const {
    Field const& field = find(name);
    switch (field.type) {
    case PluginFieldType::kINT8: return widened<int8_t>(field.data);
    case PluginFieldType::kINT32: return widened<int32_t>(field.data);
#if DETRT_HAS_INT64_FIELDS
    case PluginFieldType::kINT64: return values<int64_t>(field.data);
#endif
    default: throw std::invalid_argument("the field " + name + " holds no integers");
    }
}

int64_t Fields::integer(std::string const& name) const {
    auto const all = integers(name);
    if (all.size() != 1) {
        throw std::invalid_argument("the field " + name + " holds " + std::to_string(all.size()) + " integers, not one");
    }
    return all[0];
}

std::vector<int8_t> Fields::codes(std::string const& name, size_t length) const {
    return values<int8_t>(find(name, PluginFieldType::kINT8, length).data);
}

std::vector<float> Fields::floats(std::string const& name, size_t length) const {
    return values<float>(find(name, PluginFieldType::kFLOAT32, length).data);
}

std::vector<char> Fields::bytes() const {
    std::vector<char> result(std::begin(kMark), std::end(kMark));
    append(result, static_cast<int32_t>(fields_.size()));
    for (Field const& field : fields_) {
        append(result, static_cast<int32_t>(field.name.size()));
        result.insert(result.end(), field.name.begin(), field.name.end());
        append(result, static_cast<int32_t>(field.type));
        append(result, field.length);
        result.insert(result.end(), field.data.begin(), field.data.end());
    }
    return result;
}

nvinfer1::PluginFieldCollection const& Fields::collection() const { return collection_; }

void Fields::add(Field field) {
    if (!has(field.name)) {
        fields_.push_back(std::move(field));
    }
}

void Fields::collect() {
    views_.clear();
    for (Field const& field : fields_) {
        views_.emplace_back(field.name.c_str(), field.data.data(), field.type, field.length);
    }
    collection_.nbFields = static_cast<int32_t>(views_.size());
    collection_.fields = views_.data();
}

Fields::Field const& Fields::find(std::string const& name) const {
    for (Field const& field : fields_) {
        if (field.name == name) {
            return field;
        }
    }
    throw std::invalid_argument("the field " + name + " is missing");
}

Fields::Field const& Fields::find(std::string const& name, PluginFieldType type, size_t length) const {
    Field const& field = find(name);
    if (field.type != type) {
        throw std::invalid_argument("the field " + name + " is of another type than it should be");
    }
    if (static_cast<size_t>(field.length) != length) {
        throw std::invalid_argument("the field " + name + " holds " + std::to_string(field.length) + " numbers, not " +
            std::to_string(length));
    }
    return field;
}

} // namespace detrt
