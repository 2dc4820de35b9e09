// What can go wrong, as types; the same as in Python (`detrt.errors`), with the same sentences.
#pragma once

#include <stdexcept>
#include <string>

namespace detrt {

// Something detrt can name: `problem` says what is wrong, with the actual values, `remedy` what to do.
class Error : public std::runtime_error {
  public:
    Error(std::string problem, std::string remedy);

    const std::string& problem() const noexcept { return problem_; }
    const std::string& remedy() const noexcept { return remedy_; }

    // Throws it as what it is, where it was kept for later.
    [[noreturn]] virtual void raise() const { throw *this; }

  private:
    std::string problem_, remedy_;
};

// An option or argument that makes no sense, alone or beside the others.
class UsageError : public Error {
  public:
    using Error::Error;
    [[noreturn]] void raise() const override { throw *this; }
};

// A photo that cannot be found, read or decoded.
class ImageError : public Error {
  public:
    using Error::Error;
    [[noreturn]] void raise() const override { throw *this; }
};

// Annotations that cannot be read, or do not fit the photos or the model.
class DatasetError : public Error {
  public:
    using Error::Error;
    [[noreturn]] void raise() const override { throw *this; }
};

// A model file that cannot be found, read or run, or that gives results that cannot be.
class ModelError : public Error {
  public:
    using Error::Error;
    [[noreturn]] void raise() const override { throw *this; }
};

// What a model expects or returns is unknown, contradictory or not what detrt can serve.
class ContractError : public ModelError {
  public:
    using ModelError::ModelError;
    [[noreturn]] void raise() const override { throw *this; }
};

// An engine that cannot be built, or cannot run on this machine.
class EngineError : public ModelError {
  public:
    using ModelError::ModelError;
    [[noreturn]] void raise() const override { throw *this; }
};

// A model returned NaN or infinity.
class NonFiniteError : public ModelError {
  public:
    using ModelError::ModelError;
    [[noreturn]] void raise() const override { throw *this; }
};

}  // namespace detrt
