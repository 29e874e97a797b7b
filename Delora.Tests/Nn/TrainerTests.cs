using System.Runtime.CompilerServices;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class TrainerTests
{
    private const int Inputs = 5, Classes = 3;

    /// <summary>Rows to classify: the class is in the row, so that it can be learned.</summary>
    private sealed record Rows(float[] X, int[] Labels)
    {
        public static Rows Make(int seed, int count)
        {
            var random = new Random(seed);
            int[] labels = [.. Enumerable.Range(0, count).Select(_ => random.Next(Classes))];
            float[] x = [.. labels.SelectMany(label =>
                Enumerable.Range(0, Inputs).Select(j => (j == label ? 1f : 0f) + random.NextSingle() / 4))];
            return new Rows(x, labels);
        }

        public Rows Part(int from, int count) => new(X[(from * Inputs)..((from + count) * Inputs)], Labels[from..(from + count)]);
    }

    /// <summary>A linear classifier with its trainer.</summary>
    private sealed class Fixture : IDisposable
    {
        public Fixture(Device device)
        {
            Weight = new Parameter("weight", Tensor.Zeros([Classes, Inputs], device.FloatType, device));
            Optimizer = new AdamW([Weight], learningRate: 0.05);
            Trainer = new Trainer<Rows>(Optimizer, rows =>
            {
                Tensor x = Tensor.From(rows.X, [rows.Labels.Length, Inputs], device);
                Tensor labels = Tensor.From(rows.Labels, [rows.Labels.Length], device);
                return x.Linear(Weight).CrossEntropy(labels);
            }, rows => rows.Labels.Length);
        }

        public Parameter Weight { get; }

        public AdamW Optimizer { get; }

        public Trainer<Rows> Trainer { get; }

        public TrainingResult Run(IEnumerable<Rows> batches, TrainerOptions options) =>
            Trainer.Run(batches, options, null, TestContext.Current.CancellationToken);

        /// <summary>Trains on rows that depend on nothing but their number.</summary>
        public TrainingResult Run(TrainerOptions options, int first = 0, int count = 8) =>
            Trainer.Run(i => Rows.Make((int)i + first, count), options, null, TestContext.Current.CancellationToken);

        public void Dispose()
        {
            Optimizer.Dispose();
            Weight.Dispose();
        }
    }

    private sealed class Recorder : ITrainerCallback, IProgress<TrainingProgress>
    {
        public List<TrainingProgress> Steps { get; } = [];

        public List<TrainingProgress> Reported { get; } = [];

        public TrainingResult? Cancelled { get; private set; }

        public TrainingResult? Completed { get; private set; }

        public Action<TrainingProgress>? EachStep { get; init; }

        public void OnStep(in TrainingProgress progress)
        {
            Steps.Add(progress);
            EachStep?.Invoke(progress);
        }

        public void OnCancelled(TrainingResult result) => Cancelled = result;

        public void OnCompleted(TrainingResult result) => Completed = result;

        public void Report(TrainingProgress value) => Reported.Add(value);
    }

    /// <summary>Passes its input on and lets no finite gradient through.</summary>
    private sealed class InfiniteGradient(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            dy.CopyFrom<double>([.. Enumerable.Repeat(double.PositiveInfinity, (int)dy.ElementCount)]);
            flow.Add(x, dy);
        }

        public static Tensor Of(Tensor x)
        {
            Tensor y = Tensor.Empty(x.Shape, x.DType, x.Device);
            y.CopyFrom(x);
            Tape.For(x)?.Record(new InfiniteGradient(x, y), y);
            return y;
        }
    }

    private static async IAsyncEnumerable<Rows> Arriving([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        for (int i = 0; ; i++)
        {
            await Task.Yield();
            cancellation.ThrowIfCancellationRequested();
            yield return Rows.Make(i, 8);
        }
    }

    [Theory]
    [MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void TheLossFallsAndEveryStepIsReported(string device)
    {
        using var fixture = new Fixture(TestDevices.Get(device));
        var recorder = new Recorder();
        fixture.Trainer.Callbacks.Add(recorder);
        var options = new TrainerOptions { Steps = 12, Schedule = LearningRateSchedule.Linear(12, 2), MaxGradientNorm = 1 };
        TrainingResult result = fixture.Trainer.Run(i => Rows.Make((int)i, 8), options, recorder, TestContext.Current.CancellationToken);

        Assert.Equal(Math.Log(Classes), recorder.Steps[0].Loss, 1e-5);
        Assert.True(result.LastLoss < 0.9 * recorder.Steps[0].Loss, $"{result.LastLoss}");
        Assert.Equal((12, 0, 96L), (result.Steps, result.SkippedSteps, result.Samples));
        Assert.Same(result, recorder.Completed);
        Assert.Equal(recorder.Steps, recorder.Reported);
        Assert.Equal(Enumerable.Range(1, 12), recorder.Steps.Select(step => step.Step));
        Assert.Equal([0, 0.025, 0.05, 0.045], recorder.Steps.Take(4).Select(step => step.LearningRate), (a, b) => Math.Abs(a - b) < 1e-12);
        Assert.All(recorder.Steps, step => Assert.True(step.GradientNorm > 0 && step.SamplesPerSecond > 0 && !step.Skipped));
        Assert.Equal(TimeSpan.Zero, recorder.Steps[^1].TimeLeft);
        Assert.True(recorder.Steps[^2].TimeLeft > TimeSpan.Zero);
    }

    [Fact]
    public void AfterTheFirstStepNoMemoryIsAskedFor()
    {
        Device device = TestDevices.Get("cpu");
        using var fixture = new Fixture(device);
        var counts = new List<long>();
        fixture.Trainer.Callbacks.Add(new Recorder { EachStep = _ => counts.Add(device.Memory.Statistics.SystemAllocations) });
        device.Memory.Trim();
        long before = device.Memory.Statistics.SystemAllocations;
        fixture.Run(new TrainerOptions { Steps = 6, GradientAccumulation = 2, MaxGradientNorm = 1 }, count: 33);
        Assert.True(counts[0] > before, "the first step has to ask for memory, or this counts nothing");
        Assert.All(counts, count => Assert.Equal(counts[0], count));
    }

    [Fact]
    public void AccumulatedPartsAreTheWholeBatch()
    {
        using Fixture whole = new(Devices.Reference), parts = new(Devices.Reference);
        Rows batch = Rows.Make(3, 12);
        TrainingResult a = whole.Run([batch], new TrainerOptions { Steps = 1 });
        TrainingResult b = parts.Run([batch.Part(0, 4), batch.Part(4, 4), batch.Part(8, 4)],
            new TrainerOptions { Steps = 1, GradientAccumulation = 3 });
        Assert.Equal(a.LastLoss, b.LastLoss, 1e-14);
        Assert.Equal(a.Samples, b.Samples);
        Assert.Equal(whole.Optimizer.GradientNorm(), parts.Optimizer.GradientNorm(), 1e-14);
        Assert.Equal(whole.Weight.Value.ToArray<double>(), parts.Weight.Value.ToArray<double>(), (x, y) => Math.Abs(x - y) < 1e-12);
    }

    [Fact]
    public void CancellingEndsBetweenTwoStepsAfterTheCallbacksWereTold()
    {
        using var fixture = new Fixture(Devices.Reference);
        using var source = new CancellationTokenSource();
        double[] afterThree = [];
        var recorder = new Recorder
        {
            EachStep = progress =>
            {
                if (progress.Step != 3) return;
                afterThree = fixture.Weight.Value.ToArray<double>();
                source.Cancel();
            },
        };
        fixture.Trainer.Callbacks.Add(recorder);
        Assert.Throws<OperationCanceledException>(() =>
            fixture.Trainer.Run(i => Rows.Make((int)i, 8), new TrainerOptions { Steps = 9 }, null, source.Token));
        Assert.Equal(3, recorder.Cancelled!.Steps);
        Assert.Null(recorder.Completed);
        Assert.Equal(3, fixture.Optimizer.StepCount);
        Assert.Equal(afterThree, fixture.Weight.Value.ToArray<double>());

        // Going on from there comes to what an uninterrupted run comes to.
        fixture.Run(new TrainerOptions { Steps = 9, StepsDone = 3 }, first: 3);
        using var straight = new Fixture(Devices.Reference);
        straight.Run(new TrainerOptions { Steps = 9 });
        Assert.Equal(straight.Weight.Value.ToArray<double>(), fixture.Weight.Value.ToArray<double>());
    }

    [Fact]
    public async Task BatchesMayArriveAsynchronouslyAndTheWaitForThemCanBeCancelled()
    {
        using Fixture fixture = new(Devices.Reference), plain = new(Devices.Reference);
        CancellationToken never = TestContext.Current.CancellationToken;
        TrainingResult result = await fixture.Trainer.RunAsync(Arriving(never), new TrainerOptions { Steps = 4 }, null, never);
        plain.Run(new TrainerOptions { Steps = 4 });
        Assert.Equal(4, result.Steps);
        Assert.Equal(plain.Weight.Value.ToArray<double>(), fixture.Weight.Value.ToArray<double>());

        using var source = new CancellationTokenSource();
        var recorder = new Recorder { EachStep = _ => source.CancelAfter(TimeSpan.FromMilliseconds(20)) };
        fixture.Trainer.Callbacks.Add(recorder);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            fixture.Trainer.RunAsync(OneThenNone(never), new TrainerOptions { Steps = 4 }, null, source.Token));
        Assert.Equal(1, recorder.Cancelled!.Steps);

        static async IAsyncEnumerable<Rows> OneThenNone([EnumeratorCancellation] CancellationToken cancellation = default)
        {
            yield return Rows.Make(0, 8);
            await Task.Delay(Timeout.Infinite, cancellation);
        }
    }

    [Fact]
    public void ALossThatIsNotANumberStopsBeforeTheParametersMove()
    {
        using var fixture = new Fixture(Devices.Reference);
        Rows bad = Rows.Make(9, 8);
        bad.X[4] = float.NaN;
        double[] before = [];
        fixture.Trainer.Callbacks.Add(new Recorder { EachStep = _ => before = fixture.Weight.Value.ToArray<double>() });
        Rows[] batches = [Rows.Make(0, 8), Rows.Make(1, 8), bad, Rows.Make(2, 8)];
        var error = Assert.Throws<NonFiniteException>(() => fixture.Run(batches, new TrainerOptions { Steps = 4 }));
        Assert.Equal("Step 3: the loss is NaN. The parameters are as step 2 left them.", error.Message);
        Assert.Equal(before, fixture.Weight.Value.ToArray<double>());
        Assert.Equal(2, fixture.Optimizer.StepCount);
    }

    [Fact]
    public void SkippingLeavesTheBadStepOut()
    {
        using Fixture skipping = new(Devices.Reference), without = new(Devices.Reference);
        Rows bad = Rows.Make(9, 8);
        bad.X[0] = float.PositiveInfinity;
        var recorder = new Recorder();
        skipping.Trainer.Callbacks.Add(recorder);
        TrainingResult result = skipping.Run(
            [Rows.Make(0, 8), bad, Rows.Make(1, 8)], new TrainerOptions { Steps = 3, NonFinite = NonFinitePolicy.Skip });
        without.Run([Rows.Make(0, 8), Rows.Make(1, 8)], new TrainerOptions { Steps = 2 });
        Assert.Equal((3, 1), (result.Steps, result.SkippedSteps));
        Assert.Equal([false, true, false], recorder.Steps.Select(step => step.Skipped));
        Assert.Equal(without.Weight.Value.ToArray<double>(), skipping.Weight.Value.ToArray<double>());
    }

    [Fact]
    public void AGradientThatIsNotFiniteIsNamed()
    {
        using Parameter bad = new("bad", Tensor.From([1.0, 2, 3, 4], [2, 2], Devices.Reference));
        using Parameter good = new("good", Tensor.From([1.0, 2], [2], Devices.Reference));
        using var sgd = new Sgd([good, bad]);
        var trainer = new Trainer<int>(sgd, label =>
        {
            Tensor x = Tensor.From([1.0, 1], [1, 2], Devices.Reference), labels = Tensor.From([label], [1], Devices.Reference);
            return x.Linear(InfiniteGradient.Of(bad), good).CrossEntropy(labels);
        });
        var error = Assert.Throws<NonFiniteException>(() =>
            trainer.Run([0], new TrainerOptions { Steps = 1 }, null, TestContext.Current.CancellationToken));
        Assert.Contains("'bad' [2, 2] (4 of 4 elements)", error.Message);
        Assert.DoesNotContain("good", error.Message);
        Assert.Equal([1, 2, 3, 4], bad.Value.ToArray<double>());
    }

    [Fact]
    public void TooFewBatchesAndWrongOptionsAreErrors()
    {
        using var fixture = new Fixture(Devices.Reference);
        var error = Assert.Throws<InvalidOperationException>(() => fixture.Run([Rows.Make(0, 8)], new TrainerOptions { Steps = 2 }));
        Assert.Equal("The batches ran out at step 2 of 2.", error.Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => fixture.Run([], new TrainerOptions { Steps = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => fixture.Run([], new TrainerOptions { Steps = 1, StepsDone = 2 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => fixture.Run([], new TrainerOptions { Steps = 1, MaxGradientNorm = double.NaN }));
    }
}
