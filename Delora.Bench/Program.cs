using System.Reflection;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Exporters.Json;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Delora.Bench;
using Delora.Bench.Compare;
using Delora.Bench.Compare.Gpu;

// quick [TEXT]   every op (whose name contains TEXT) once, in about a minute
// layer          what a DeLoRA adapter costs beside the frozen layer, the two in turn
// step [TEXT [checkpointing]]   whole training steps of language models (whose name contains TEXT)
// frozen [TEXT]  frozen weights in every storage: memory, error, products (of the shapes that begin with TEXT)
// frozen steps MODEL   training steps of a model with its weights in different storages
// frozen decode        tokens of a Llama, one at a time, likewise
// compare cpu [TEXT]   Delora beside libtorch (what has TEXT in its name), in turn; writes artifacts/compare-cpu.json
// compare gpu …  Delora's side of the comparison on a GPU, its plan for the peers, and the two joined (docs/gpu.md); --only product: the products
// validate DEVICE [N]   every op's benchmarks (without the first N) against the reference, nothing timed
// list           classes, their benchmarks, shapes
// anything else  BenchmarkDotNet's own options, for instance --filter '*Gelu*'
Type[] classes = [.. typeof(OpBenchmarks).Assembly.GetTypes()
    .Where(type => type.IsSubclassOf(typeof(OpBenchmarks)) && !type.IsAbstract).OrderBy(type => type.Name, StringComparer.Ordinal)];

switch (args)
{
    case ["quick"]:
        return QuickRun.Run(classes);
    case ["quick", var text]:
        return QuickRun.Run([.. classes.Where(type => type.Name.Contains(text, StringComparison.OrdinalIgnoreCase))]);
    case ["layer"]:
        return LayerRun.Run();
    case ["step"]:
        return StepRun.Run("");
    case ["step", var text]:
        return StepRun.Run(text);
    case ["step", var text, "checkpointing"]:
        return StepRun.Run(text, checkpointing: true);
    case ["frozen"]:
        return FrozenRun.Run("");
    case ["frozen", "steps", var text]:
        return FrozenModelsRun.Steps(text);
    case ["frozen", "decode"]:
        return FrozenModelsRun.Decode();
    case ["frozen", var text]:
        return FrozenRun.Run(text);
    case ["compare", "cpu", .. var rest]:
        return CompareRun.Run(rest);
    case ["compare", "gpu", .. var rest]:
        return GpuRun.Run(rest);
    case ["validate", var device]:
        return ValidateRun.Run(classes, device);
    case ["validate", var device, var first] when int.TryParse(first, out int number) && number >= 0:
        return ValidateRun.Run(classes, device, number);
    case ["compare-side"]:
        return CompareRun.RunSide();
    case ["list"]:
        foreach (Type type in classes)
        {
            var methods = type.GetMethods().Where(method => method.IsDefined(typeof(BenchmarkAttribute))).Select(method => method.Name);
            var shapes = ((OpBenchmarks)Activator.CreateInstance(type)!).Shapes;
            Console.WriteLine($"{type.Name}: {string.Join(", ", methods)}; {string.Join(", ", shapes)}");
        }
        return 0;
    default:
        // In this process: a generated project per class would be built again for each, and devices started again.
        IConfig config = ManualConfig.Create(DefaultConfig.Instance)
            .AddJob(Job.Default.WithToolchain(new InProcessEmitToolchain(TimeSpan.FromHours(1), logOutput: true)))
            .AddColumn(RateColumn.GigaFlops, RateColumn.GigaBytes).AddExporter(JsonExporter.FullCompressed);
        var summaries = BenchmarkSwitcher.FromTypes(classes).Run(args, config);
        return summaries.All(summary => summary.Reports.All(report => report.Success)) ? 0 : 1;
}
