using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class LearningRateScheduleTests
{
    /// <summary>Factors of get_constant_, get_linear_ and get_cosine_schedule_with_warmup of transformers at single steps.</summary>
    [Theory]
    [InlineData("constant", 0, 0, 1)]
    [InlineData("constant", 4, 0, 0)]
    [InlineData("constant", 4, 3, 0.75)]
    [InlineData("constant", 4, 4, 1)]
    [InlineData("constant", 4, 1000, 1)]
    [InlineData("linear", 0, 0, 1)]
    [InlineData("linear", 0, 5, 0.5)]
    [InlineData("linear", 2, 1, 0.5)]
    [InlineData("linear", 2, 2, 1)]
    [InlineData("linear", 2, 4, 0.75)]
    [InlineData("linear", 2, 10, 0)]
    [InlineData("linear", 2, 25, 0)]
    [InlineData("linear", 10, 9, 0.9)]
    [InlineData("linear", 10, 10, 0)]
    [InlineData("cosine", 0, 0, 1)]
    [InlineData("cosine", 2, 1, 0.5)]
    [InlineData("cosine", 2, 4, 0.85355339059327373)]
    [InlineData("cosine", 2, 6, 0.5)]
    [InlineData("cosine", 2, 10, 0)]
    [InlineData("cosine", 2, 14, 0.5)]
    [InlineData("two waves", 2, 4, 0)]
    [InlineData("two waves", 2, 6, 1)]
    public void FactorsAreThoseOfTransformers(string kind, int warmup, long step, double expected)
    {
        const int total = 10;
        LearningRateSchedule schedule = kind switch
        {
            "constant" => LearningRateSchedule.Constant(warmup),
            "linear" => LearningRateSchedule.Linear(total, warmup),
            "cosine" => LearningRateSchedule.Cosine(total, warmup),
            _ => LearningRateSchedule.Cosine(total, warmup, cycles: 2),
        };
        Assert.Equal(expected, schedule.FactorAt(step), 1e-15);
    }

    [Fact]
    public void NonsenseIsRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => LearningRateSchedule.Constant(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => LearningRateSchedule.Linear(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => LearningRateSchedule.Cosine(5, cycles: double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>(() => LearningRateSchedule.Constant().FactorAt(-1));
    }
}
