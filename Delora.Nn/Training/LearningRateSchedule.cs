namespace Delora.Nn;

/// <summary>
/// The factor that multiplies an optimizer's learning rate at each step, as the <c>get_*_schedule_with_warmup</c> functions of HuggingFace transformers
/// compute it; steps count from 0.
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

    /// <summary>From 1 after the warm-up down to 0 at <paramref name="totalSteps"/>, along half a cosine wave.</summary>
    public static LearningRateSchedule Cosine(int totalSteps, int warmupSteps = 0) => new CosineSchedule(totalSteps, warmupSteps);

    /// <summary>The factor for the step with this number, from 0.</summary>
    public double FactorAt(long step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        return step < WarmupSteps ? (double)step / Math.Max(1, WarmupSteps) : AfterWarmup(step);
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

        private protected override double AfterWarmup(long step) => Math.Max(0, (double)(_total - step) / Math.Max(1, _total - WarmupSteps));
    }

    private sealed record CosineSchedule(int TotalSteps, int Warmup) : LearningRateSchedule(Warmup)
    {
        private readonly int _total = Positive(TotalSteps);

        private protected override double AfterWarmup(long step)
        {
            double progress = (double)(step - WarmupSteps) / Math.Max(1, _total - WarmupSteps);
            // Beyond the end the wave would rise again.
            return progress >= 1 ? 0 : 0.5 * (1 + Math.Cos(Math.PI * progress));
        }
    }
}
