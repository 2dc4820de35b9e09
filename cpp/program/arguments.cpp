#include "arguments.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "core/text.hpp"
#include "detrt/detrt.hpp"

namespace detrt::program {
namespace {

constexpr const char* kExamples = R"(Examples:
  detrt-run --engine model.engine street.jpg --save annotated
  detrt-run --engine model.engine photos/ 'more/**/*.png' --threshold 0.5 --json found.jsonl --batch 8
  detrt-run --engine model.engine val2017 --coco-results r.json --annotations instances_val2017.json
  detrt-run --onnx model.onnx street.jpg
  detrt-run --engine model.engine photos/ --bench engine,infer,e2e,stream --batch 1,8 --json bench.json)";

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    std::istringstream rest(text);
    for (std::string word; std::getline(rest, word, ',');)
        if (!(word = CLI::detail::trim_copy(word)).empty()) words.push_back(word);
    return words;
}

std::vector<int> numbers_of(const std::string& option, const std::string& text) {
    const auto number = [](const std::string& word) {
        const bool digits = word.size() <= 4 && word.find_first_not_of("0123456789") == std::string::npos;
        return digits ? std::stoi(word) : 0;
    };
    std::vector<int> numbers;
    for (const auto& word : words_of(text)) numbers.push_back(number(word));
    const bool good = std::all_of(numbers.begin(), numbers.end(), [](int one) { return one >= 1 && one <= 4096; });
    if (numbers.empty() || !good)
        throw UsageError(option + " " + text + " is no list of numbers from 1 to 4096.",
                         "Write it as " + option + " 1,8,32.");
    return numbers;
}

void check_together(const Arguments& asked) {
    if (asked.engine.empty() == asked.onnx.empty())
        throw UsageError(asked.engine.empty() ? "No model is given." : "An engine and an ONNX file are given.",
                         "Give one of --engine FILE and --onnx FILE.");
    for (const auto& name : asked.protocols)
        if (name != "engine" && name != "infer" && name != "e2e" && name != "stream")
            throw UsageError("There is no protocol '" + name + "'.", "Use: engine, infer, e2e, stream.");
    if (!asked.bench && asked.sources.empty())
        throw UsageError("No photo is given.", "Give photos, folders or globs in quotes.");
    if (!asked.bench && (asked.batch.size() > 1 || asked.streams.size() > 1))
        throw UsageError("Several sizes of --batch or --streams are given.",
                         "Give one, or add --bench to time them all.");
    if (asked.coco_results.empty() != asked.annotations.empty())
        throw UsageError("--coco-results and --annotations belong together.",
                         "Give both: the annotations say the ids of photos and categories.");
}

}  // namespace

std::optional<Arguments> arguments_from(const std::vector<std::string>& words) {
    Arguments asked;
    asked.command = words;
    std::string bench, batch = "1", streams = "1", decode = "cpu";

    CLI::App app("Detect objects in photos with a TensorRT engine.", "detrt-run");
    app.footer(kExamples);
    app.set_version_flag("--version", std::string("detrt-run ") + version());
    app.add_option("source", asked.sources, "Photos, folders, globs in quotes.");
    app.add_option("--engine", asked.engine, "An engine; its manifest lies beside it.")->type_name("FILE");
    app.add_option("--onnx", asked.onnx, "An ONNX file: builds an engine as the graph says, and keeps it.")
        ->type_name("FILE");
    app.add_option("--keep", asked.keep, "Where the engine of --onnx is kept; beside the file if left out.")
        ->type_name("FILE");
    app.add_flag("--force", asked.force, "Build it even where it is up to date.");
    app.add_option("--device", asked.device, "Number of the GPU.")->check(CLI::NonNegativeNumber);
    app.add_option("--batch", batch, "Photos a run of the network; with --bench a list, 1,8,32.")->type_name("N");
    app.add_flag("--no-graph", asked.no_graph, "Launch kernel by kernel, not through a CUDA graph.");
    app.add_option("--decode", decode, "Where JPEGs are decoded: cpu, or gpu (its decoder chip).")
        ->check(CLI::IsMember({"cpu", "gpu"}))
        ->type_name("WHERE");
    app.add_flag_callback(
        "--cpu-decode", [&] { decode = "cpu"; }, "The same as --decode cpu.");

    app.add_option("--threshold", asked.threshold, "Lowest score to show.")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--json", asked.json, "Write one line of JSON an image; with --bench, everything measured.")
        ->type_name("FILE");
    app.add_option("--save", asked.save, "Leave annotated copies here.")->type_name("DIR");
    app.add_option("--coco-results", asked.coco_results, "Write every detection for `detrt eval --results`.")
        ->type_name("FILE");
    app.add_option("--annotations", asked.annotations, "COCO's instances file, for the ids of --coco-results.")
        ->type_name("FILE");

    auto* timed = app.add_option("--bench", bench, "Time it: engine, infer, e2e, stream, or several, with commas.")
                      ->type_name("NAME,...")
                      ->expected(0, 1);
    app.add_option("--streams", streams, "With --bench: runs of the engine under way at once, 1,2,4.")
        ->type_name("N,...");
    app.add_option("--seconds", asked.seconds, "With --bench: timed seconds for each row.")
        ->capture_default_str()
        ->check(CLI::Range(0.01, 3600.0));

    try {
        app.parse(std::vector<std::string>(words.rbegin(), words.rend() - (words.empty() ? 0 : 1)));
    } catch (const CLI::Success& told) {  // help or version
        app.exit(told);
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        throw UsageError(one_line(error.what()) + ".", "`detrt-run --help` shows every option.");
    }
    asked.bench = timed->count() > 0;
    if (const auto names = words_of(bench); !names.empty()) asked.protocols = names;
    asked.batch = numbers_of("--batch", batch);
    asked.streams = numbers_of("--streams", streams);
    asked.gpu_decode = decode == "gpu";
    if (asked.keep.empty() && !asked.onnx.empty())
        asked.keep = std::filesystem::path(asked.onnx).replace_extension(".engine");
    check_together(asked);
    return asked;
}

}  // namespace detrt::program
