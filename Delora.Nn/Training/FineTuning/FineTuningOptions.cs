using System.Globalization;
using System.Text;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>How the learning rate goes over the steps of a run; see <see cref="LearningRateSchedule"/>.</summary>
public enum ScheduleKind
{
    /// <summary>Constant after the warm-up.</summary>
    Constant,

    /// <summary>Linearly down to 0 at the last step.</summary>
    Linear,

    /// <summary>Along half a cosine wave down to 0 at the last step.</summary>
    Cosine,
}

/// <summary>How a <see cref="FineTuner"/> trains an adapter.</summary>
public sealed record FineTuningOptions
{
    /// <summary>What is adapted, and how.</summary>
    public required AdapterConfig Adapter { get; init; }

    /// <summary>Optimizer steps, at least 1; see <see cref="StepsOf"/> for epochs.</summary>
    public required int Steps { get; init; }

    /// <summary>Rows of a batch.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Batches whose gradients are averaged for one step.</summary>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>AdamW's learning rate at its highest.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>How DeLoRA's λ is trained; like everything else where nothing is given.</summary>
    public LambdaOptions Lambda { get; init; } = new();

    /// <summary>AdamW's decoupled weight decay.</summary>
    public double WeightDecay { get; init; }

    /// <summary>How the learning rate goes over the steps.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Cosine;

    /// <summary>Steps over which the learning rate rises to its highest.</summary>
    public int WarmupSteps { get; init; }

    /// <summary>Gradients are scaled down to this norm; 0 for no clipping.</summary>
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Steps between two evaluations; 0: before the first step and after the last alone.</summary>
    public int EvaluateEvery { get; init; }

    /// <summary>
    /// Steps between two reports of how far the layers have moved (<see cref="FineTuner{TModel, TBatch, TEvaluation}.BoundsMeasured"/>); 0 for none.
    /// </summary>
    public int MeasureBoundsEvery { get; init; }

    /// <summary>Steps between two checkpoints; 0: at the end, and when the run is interrupted, alone.</summary>
    public int SaveEvery { get; init; }

    /// <summary>Checkpoints to keep.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Seed of the initial values, the dropout masks and the order of the rows.</summary>
    public ulong Seed { get; init; }

    /// <summary>What happens where the loss or a gradient is NaN or infinite.</summary>
    public NonFinitePolicy NonFinite { get; init; }

    /// <summary>
    /// Whether the passes of a batch and the optimizer's step are recorded as graphs on a CUDA card; see <see cref="TrainerOptions.UseCudaGraph"/>.
    /// </summary>
    public bool UseCudaGraph { get; init; } = true;

    /// <summary>The steps that so many passes over the rows take, rounded up.</summary>
    /// <param name="epochs">Passes, above 0; need not be whole.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="batchSize">Rows of a batch.</param>
    /// <param name="gradientAccumulation">Batches of a step.</param>
    public static int StepsOf(double epochs, int rows, int batchSize, int gradientAccumulation = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(epochs);
        return checked((int)Math.Max(1, Math.Ceiling(epochs * rows / ((double)batchSize * gradientAccumulation))));
    }

    internal LearningRateSchedule MakeSchedule() => Schedule switch
    {
        ScheduleKind.Constant => LearningRateSchedule.Constant(WarmupSteps),
        ScheduleKind.Linear => LearningRateSchedule.Linear(Steps, WarmupSteps),
        ScheduleKind.Cosine => LearningRateSchedule.Cosine(Steps, WarmupSteps),
        _ => throw new ArgumentOutOfRangeException(nameof(Schedule), Schedule, "is not defined."),
    };

    internal void Validate()
    {
        Adapter.Validate();
        ArgumentOutOfRangeException.ThrowIfLessThan(Steps, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(GradientAccumulation, 1);
        Finite(LearningRate, nameof(LearningRate));
        Lambda.Validate();
        Finite(WeightDecay, nameof(WeightDecay));
        Finite(MaxGradientNorm, nameof(MaxGradientNorm));
        MakeSchedule();
        ArgumentOutOfRangeException.ThrowIfLessThan(BatchSize, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(EvaluateEvery);
        ArgumentOutOfRangeException.ThrowIfNegative(MeasureBoundsEvery);
        ArgumentOutOfRangeException.ThrowIfNegative(SaveEvery);
        ArgumentOutOfRangeException.ThrowIfLessThan(KeepCheckpoints, 1);
    }

    /// <summary>What the numbers of a run depend on: a run that resumes must agree in all of it.</summary>
    internal IEnumerable<KeyValuePair<string, string>> Settings()
    {
        // Field by field, so that a difference can be named. Where the model's folder lies changes no number.
        using JsonDocument adapter = JsonDocument.Parse(Adapter.ToJson());
        foreach (JsonProperty field in adapter.RootElement.EnumerateObject())
            if (field.Name != "base_model_name_or_path")
                yield return new($"adapter {field.Name}", Compact(field.Value));
        yield return new("steps", Text(Steps));
        yield return new("batch size", Text(BatchSize));
        yield return new("gradient accumulation", Text(GradientAccumulation));
        yield return new("learning rate", Text(LearningRate));
        yield return new("learning rate of λ", Text(Lambda.LearningRate ?? LearningRate));
        yield return new("weight decay", Text(WeightDecay));
        // Only where they are set: earlier runs do not know them.
        if (Lambda.WeightDecay is { } decay) yield return new("weight decay of λ", Text(decay));
        if (Lambda.Frozen) yield return new("frozen λ", "yes");
        if (Lambda.Min is { } least) yield return new("least λ", Text(least));
        if (Lambda.Max is { } most) yield return new("largest λ", Text(most));
        if (Lambda.WarmupSteps > 0) yield return new("warm-up steps of λ", Text(Lambda.WarmupSteps));
        yield return new("schedule", Schedule.ToString());
        yield return new("warm-up steps", Text(WarmupSteps));
        yield return new("largest gradient norm", Text(MaxGradientNorm));
        yield return new("seed", Text(Seed));
        yield return new("residual initialization", Adapter is DeloraConfig { ResidualInitialization: true } ? "yes" : "no");
    }

    /// <summary>JSON without blanks, made without reflection, which a trimmed application lacks.</summary>
    private static string Compact(JsonElement value)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream)) value.WriteTo(writer);
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    private static void Finite(double value, string name)
    {
        if (!Check.IsFactor(value)) throw new ArgumentOutOfRangeException(name, value, "must be ≥ 0 and finite as float32.");
    }

    private static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);
}
