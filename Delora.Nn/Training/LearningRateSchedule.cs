namespace Delora.Nn;

/// <summary>
/// The factor that multiplies an optimizer's learning rates at each step, exactly as the <c>get_*_schedule_with_warmup</c> functions of
/// HuggingFace
/// transformers compute it; steps count from 0. With a warm-up the first step has the factor 0.
/// </summary>
public abstract record LearningRateSchedule
{
    private protected LearningRateSchedule(int warmupSteps)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(warmupSteps);
        WarmupSteps = warmupSteps;
    }

    /// <summary>Steps over which the factor rises linearly from 0 to 1.</summary>
    public int WarmupSteps { get; }

    /// <summary>1, after the warm-up.</summary>
    public static LearningRateSchedule Constant(int warmupSteps = 0) => new ConstantSchedule(warmupSteps);

    /// <summary>From 1 after the warm-up linearly down to 0 at <paramref name="totalSteps"/>.</summary>
    public static LearningRateSchedule Linear(int totalSteps, int warmupSteps = 0) => new LinearSchedule(totalSteps, warmupSteps);

    /// <summary>
    /// From 1 after the warm-up along a cosine wave; half a wave ends at 0 at <paramref name="totalSteps"/>. Training beyond that, the
    /// wave goes on.
    /// </summary>
    /// <param name="totalSteps">Steps of the run.</param>
    /// <param name="warmupSteps">Steps of the warm-up, part of them.</param>
    /// <param name="cycles">Waves over the run.</param>
    public static LearningRateSchedule Cosine(int totalSteps, int warmupSteps = 0, double cycles = 0.5) =>
        new CosineSchedule(totalSteps, warmupSteps, cycles);

    /// <summary>The factor for the step with this number, from 0.</summary>
    public double FactorAt(long step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        return step < WarmupSteps ? (double)step / WarmupSteps : AfterWarmup(step);
    }

    private protected abstract double AfterWarmup(long step);

    private static int Positive(int totalSteps)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(totalSteps, 1);
        return totalSteps;
    }

    private sealed record ConstantSchedule(int Warmup) : LearningRateSchedule(Warmup)
    {
        private protected override double AfterWarmup(long step) => 1;
    }

    private sealed record LinearSchedule(int TotalSteps, int Warmup) : LearningRateSchedule(Warmup)
    {
        private readonly int _total = Positive(TotalSteps);

        private protected override double AfterWarmup(long step) =>
            Math.Max(0, (double)(_total - step) / Math.Max(1, _total - WarmupSteps));
    }

    private sealed record CosineSchedule(int TotalSteps, int Warmup, double Cycles) : LearningRateSchedule(Warmup)
    {
        private readonly int _total = Positive(TotalSteps);

        private readonly double _cycles = Cycles > 0 && double.IsFinite(Cycles)
            ? Cycles
            : throw new ArgumentOutOfRangeException("cycles", Cycles, "The waves of a cosine schedule must be above 0.");

        private protected override double AfterWarmup(long step)
        {
            double progress = (double)(step - WarmupSteps) / Math.Max(1, _total - WarmupSteps);
            return Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * _cycles * 2 * progress)));
        }
    }
}
