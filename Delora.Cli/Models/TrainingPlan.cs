using System.Globalization;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The memory of a run of <c>delora train</c> before it begins: told, or compared with what there is.</summary>
internal sealed class TrainingPlan(
    TrainOptions options, FineTuningOptions tuning, Device device, Func<FineTuningOptions, FrozenWeightOptions, bool, MemoryPlan> make)
{
    /// <summary>
    /// What the process takes beside tensors on the host: the runtime, compiled code, texts, buffers of files. From 76 MiB (a model of 260,000 parameters)
    /// to 124 MiB (one of 49 million) were measured as resident beyond what the allocator had.
    /// </summary>
    private const long ProgramBytes = 128L << 20;

    private static readonly FrozenStorage[] s_smaller = [FrozenStorage.BFloat16, FrozenStorage.Int8, FrozenStorage.Nf4];

    private long Available => options.Memory ?? device.AvailableMemoryBytes;

    /// <summary>Whether tensors lie in the memory that the program itself takes.</summary>
    private bool IsOnHost => device is not GpuDevice { Kind: not DeviceKind.Simulator };

    private Choice Asked => new(options.Checkpointing, tuning.BatchSize, options.Frozen.Storage);

    /// <summary>Refuses a run that needs more than there is, and says what would fit.</summary>
    /// <exception cref="InputException">It does.</exception>
    public void Require()
    {
        // The reference device computes in plain loops, which no plan goes through; it is for tests.
        if (device is ReferenceDevice)
            return;
        long available = Available;
        MemoryPlan plan = Of(Asked);
        if (Needed(plan) <= available)
            return;
        List<(Choice Choice, long Bytes)> tried = [.. Savings().Concat(Together()).Select(choice => (choice, Needed(Of(choice))))];
        string[] fitting = [.. tried.Where(entry => entry.Bytes <= available).Take(3).Select(entry => Say(entry.Choice, entry.Bytes))];
        string advice = fitting.Length > 0
            ? $"what would fit: {string.Join(", ", fitting)}"
            : tried.Count == 0 ? "nothing would take less" : $"the least would be {Least(tried)}";
        throw new InputException(
            $"the run needs {Printable.Bytes(Needed(plan))} of {device.Name} (weights {Printable.Bytes(plan.FrozenBytes + plan.OtherWeightBytes)}, "
            + $"adapter with gradients and optimizer {Printable.Bytes(plan.TrainedBytes + plan.GradientBytes + plan.OptimizerBytes)}, activations "
            + $"{Printable.Bytes(plan.ActivationBytes)}), and {Printable.Bytes(available)} are {(options.Memory is null ? "left" : "allowed")}; {advice}. "
            + "--dry-run tells more, --memory sets another limit.");
    }

    /// <summary>Tells the plan, and what other options would come to.</summary>
    /// <exception cref="InputException">The device is one whose memory cannot be planned.</exception>
    public int Tell(CliConsole console, ModelFolder folder, string data)
    {
        if (device is ReferenceDevice)
            throw new InputException($"--dry-run: {device.Name}: memory is planned for the other devices");
        MemoryPlan plan = Of(Asked);
        console.Output.WriteLine($"Model: {folder.Path}, {folder.Description}");
        console.Output.WriteLine($"Device: {device.Name}");
        console.Output.WriteLine($"Data: {data}");
        console.Output.WriteLine($"Trained: {Printable.Count(plan.TrainedCount)} parameters");
        foreach ((string name, long bytes) in (ReadOnlySpan<(string, long)>)
            [
                ($"Frozen weights ({plan.Storages})", plan.FrozenBytes), ("Other weights", plan.OtherWeightBytes), ("Adapter", plan.TrainedBytes),
                ("Gradients", plan.GradientBytes), ("Optimizer", plan.OptimizerBytes), ("Tables, and rounding of blocks", plan.RoundingBytes),
                ("Activations and working memory", plan.ActivationBytes), ("Peak of the run", plan.PeakBytes), ("Peak of loading", plan.LoadPeakBytes),
                ($"Needed{(plan.CountsReserved ? ", with blocks kept for reuse" : "")}{(IsOnHost ? " and the program" : "")}", Needed(plan)),
                (options.Memory is null ? "Left on the device" : "Allowed", Available),
            ])
            console.Output.WriteLine($"  {name,-50} {Printable.Bytes(bytes),12}");
        console.Output.WriteLine("Needed with other options:");
        foreach (Choice choice in Savings())
        {
            long bytes = Needed(Of(choice));
            console.Output.WriteLine($"  {Words(choice),-50} {Printable.Bytes(bytes),12}");
        }

        console.Output.WriteLine(Needed(plan) <= Available ? "The run fits." : "The run does not fit.");
        return ExitCode.Success;
    }

    /// <summary>Each option that takes less memory, by itself.</summary>
    private IEnumerable<Choice> Savings()
    {
        if (!Asked.Checkpointing)
            yield return Asked with { Checkpointing = true };
        if (Asked.Batch > 1)
            yield return Asked with { Batch = Asked.Batch / 2 };
        if (Asked.Batch > 3)
            yield return Asked with { Batch = 1 };
        foreach (FrozenStorage storage in s_smaller.Where(storage => Bits(storage) < Bits(Asked.Storage)))
            yield return Asked with { Storage = storage };
    }

    /// <summary>Several of them.</summary>
    private IEnumerable<Choice> Together() =>
        new[]
        {
            Asked with { Checkpointing = true, Batch = 1 },
            Asked with { Checkpointing = true, Storage = FrozenStorage.Nf4 },
            new Choice(true, 1, FrozenStorage.Nf4),
        }.Where(choice => choice != Asked && !Savings().Contains(choice)).Distinct();

    private long Needed(MemoryPlan plan) => plan.RequiredBytes + (IsOnHost ? ProgramBytes : 0);

    private MemoryPlan Of(Choice choice) =>
        make(tuning with { BatchSize = choice.Batch }, options.Frozen with { Storage = choice.Storage }, choice.Checkpointing);

    private string Least(List<(Choice Choice, long Bytes)> tried)
    {
        (Choice choice, long bytes) = tried.MinBy(entry => entry.Bytes);
        return Say(choice, bytes);
    }

    private string Say(Choice choice, long bytes) => $"{Words(choice)} ({Printable.Bytes(bytes)})";

    /// <summary>The options in which a choice differs from what was asked for.</summary>
    private string Words(Choice choice)
    {
        List<string> words = [];
        if (choice.Checkpointing != Asked.Checkpointing)
            words.Add("--checkpointing");
        if (choice.Batch != Asked.Batch)
            words.Add(string.Create(CultureInfo.InvariantCulture, $"--batch {choice.Batch}"));
        if (choice.Storage != Asked.Storage)
            words.Add($"--weights {choice.Storage.Name}");
        return string.Join(' ', words);
    }

    /// <summary>Bits of a number, to tell which storage is smaller; of what a file has, the most that it may have.</summary>
    private static int Bits(FrozenStorage storage) => storage switch
    {
        FrozenStorage.BFloat16 or FrozenStorage.Float16 => 16,
        FrozenStorage.Int8 => 8,
        FrozenStorage.Nf4 => 4,
        _ => 32,
    };

    private sealed record Choice(bool Checkpointing, int Batch, FrozenStorage Storage);
}
