// Named arrays: what the ONNX parser hands a plugin, and what the plugin leaves in the engine.
#pragma once

#include "version.h"

#include <cstdint>
#include <string>
#include <vector>

namespace detrt {

/// The attributes of a node by name. Owns its bytes; reading checks type and length.
class Fields {
public:
    Fields() = default;
    /// Copies what a creator is given.
    explicit Fields(nvinfer1::PluginFieldCollection const& given);
    /// The inverse of `bytes`. Throws std::invalid_argument where they are cut off or of another make.
    Fields(void const* bytes, size_t size);

    bool has(std::string const& name) const;
    size_t length(std::string const& name) const; // elements
    /// Integers of any width. Throws std::invalid_argument where the field is missing or of another type.
    std::vector<int64_t> integers(std::string const& name) const;
    std::vector<int8_t> codes(std::string const& name, size_t length) const;
    std::vector<float> floats(std::string const& name, size_t length) const;
    int64_t integer(std::string const& name) const;

    /// For IPluginV2, which serialises bytes; IPluginV3 hands over `collection`. Little-endian, as engines are.
    std::vector<char> bytes() const;
    /// Valid as long as this object lives and stays where it is.
    nvinfer1::PluginFieldCollection const& collection() const;

    Fields(Fields const&);
    Fields& operator=(Fields const&) = delete;

private:
    struct Field {
        std::string name;
        nvinfer1::PluginFieldType type;
        int32_t length; // elements
        std::vector<char> data;
    };

    void add(Field field);
    void collect();
    Field const& find(std::string const& name) const;
    Field const& find(std::string const& name, nvinfer1::PluginFieldType type, size_t length) const;

    std::vector<Field> fields_;
    std::vector<nvinfer1::PluginField> views_;
    nvinfer1::PluginFieldCollection collection_{};
};

} // namespace detrt
