using Delora.Core;
using Delora.Kernels;
using Delora.Kernels.Ptx;
using Delora.Tests.Ptx;

namespace Delora.Tests.Products;

/// <summary>What becomes of products by warpgroups whose first small one comes out right, wrong, not at all, or never ends.</summary>
public sealed class WarpgroupTrialTests
{
    private static readonly MatMulSize s_size = new(1, 256, 264, 256);

    [Fact]
    public void AKindThatPassesIsTriedOnceAndUsed()
    {
        var driver = new FaultyDriver();
        using GpuDevice gpu = Start(driver);
        float[] first = Product(gpu), second = Product(gpu);
        Assert.Equal(Expected(), first);
        Assert.Equal(first, second);
        Assert.Empty(gpu.Fallbacks);
        Assert.Equal("warpgroup_product_bf16_kk_128x128", Assert.Single(driver.Loaded, name => name.Contains("product", StringComparison.Ordinal)));
    }

    [Fact]
    public void AWrongResultIsReplacedByAnotherKernelsWithOneWarning()
    {
        // Products of −a and b.
        var driver = new FaultyDriver { Change = text => text.Replace(", 1, 1, 0, 0;", ", -1, 1, 0, 0;", StringComparison.Ordinal) };
        using GpuDevice gpu = Start(driver);
        Assert.Equal(Expected(), Product(gpu));
        Assert.Equal(Expected(), Product(gpu));
        string warning = Assert.Single(gpu.Fallbacks);
        Assert.Contains("the product by warpgroups (bf16, NT, tiles of 128 × 128) failed its trial", warning);
        Assert.Contains("element (0, 0) of a product of whole numbers is ", warning);
        Assert.Contains(driver.Loaded, name => name.StartsWith("product_bf16", StringComparison.Ordinal));
    }

    [Fact]
    public void ATextThatTheDriverRefusesIsReplaced()
    {
        using GpuDevice gpu = Start(new FaultyDriver { Change = _ => "this is no text" });
        Assert.Equal(Expected(), Product(gpu));
        Assert.Contains("the driver refuses the kernel warpgroup_product", Assert.Single(gpu.Fallbacks));
    }

    /// <summary>The trial's own product is right there: what counts is the text of the product that is asked for.</summary>
    [Fact]
    public void ATextWithAnActivationThatTheDriverRefusesIsReplaced()
    {
        var driver = new FaultyDriver { Refused = "_relu_" };
        using GpuDevice gpu = Start(driver);
        Assert.Equal(Expected(), Product(gpu));
        Assert.Empty(gpu.Fallbacks);
        Assert.Equal(Expected().Select(value => Math.Max(value, 0)), Product(gpu, ActivationKind.Relu));
        string warning = Assert.Single(gpu.Fallbacks);
        Assert.Contains("(bf16, NT, tiles of 128 × 128, Relu) failed its trial", warning);
        Assert.Contains("the driver refuses the kernel warpgroup_product_bf16_kk_relu_128x128", warning);
        // The plain one is still relied on.
        driver.Loaded.Clear();
        Assert.Equal(Expected(), Product(gpu));
        Assert.Empty(driver.Loaded);
    }

    [Fact]
    public void WhereTheTrialIsStrictItsFailureIsAnError()
    {
        using GpuDevice gpu = Start(new FaultyDriver { Change = text => text.Replace(", 1, 1, 0, 0;", ", -1, 1, 0, 0;", StringComparison.Ordinal) });
        gpu.Warpgroups = TrialMode.Strict;
        for (int i = 0; i < 2; i++) Assert.Contains("failed its trial", Assert.Throws<DeviceException>(() => Product(gpu)).Message);
        Assert.Empty(gpu.Fallbacks);
    }

    [Fact]
    public void WhereTheyAreOffNothingIsTried()
    {
        var driver = new FaultyDriver();
        using GpuDevice gpu = Start(driver);
        gpu.Warpgroups = TrialMode.Off;
        Assert.Equal(Expected(), Product(gpu));
        Assert.Empty(gpu.Fallbacks);
        Assert.DoesNotContain(driver.Loaded, name => name.Contains("warpgroup", StringComparison.Ordinal));
    }

    [Fact]
    public void ATrialThatNeverEndsIsAnErrorThatSaysHowToDoWithout()
    {
        using GpuDevice gpu = Start(new FaultyDriver { NeverPasses = true });
        gpu.TrialPatience = TimeSpan.Zero;
        var error = Assert.Throws<DeviceException>(() => Product(gpu));
        Assert.Contains("the card computes nothing more in this process", error.Message);
        Assert.Contains("it is not done after 0 s", error.Message);
        Assert.Contains("DELORA_WARPGROUPS=off", error.Message);
    }

    [Fact]
    public void WherePatienceHasRunOutNobodyWaitsAgain()
    {
        var driver = new FaultyDriver { NeverPasses = true };
        using GpuDevice gpu = Start(driver);
        gpu.TrialPatience = TimeSpan.Zero;
        Assert.Throws<DeviceException>(() => gpu.PassesTrial("it", TrialMode.Tried, () =>
        {
            gpu.WaitPatiently();
            return null;
        }));
        Assert.Equal(1, driver.Polls);
    }

    [Fact]
    public void ATrialWithoutMemorySaysNothingAndIsMadeAgain()
    {
        using GpuDevice gpu = Start(new FaultyDriver());
        int trials = 0;
        bool Passes() => gpu.PassesTrial(
            "it", TrialMode.Strict, () => trials++ < 2 ? throw new DeviceMemoryException("no memory", 1, 0) : null);
        for (int i = 0; i < 2; i++) Assert.Throws<DeviceMemoryException>(() => Passes());
        for (int i = 0; i < 2; i++) Assert.True(Passes());
        Assert.Equal(3, trials);
        Assert.Empty(gpu.Fallbacks);
    }

    [Fact]
    public void WhatPlansMemoryDoesWithoutThemAsTheDeviceDoes()
    {
        using GpuDevice gpu = Start(new FaultyDriver());
        gpu.Warpgroups = TrialMode.Off;
        using GpuDevice planning = GpuDevice.Planning(gpu);
        Assert.Equal(TrialMode.Off, planning.Warpgroups);
    }

    [Fact]
    public void ATrialIsNoPartOfWorkThatIsRecorded()
    {
        using GpuDevice gpu = Start(new FaultyDriver());
        using var pool = new BlockPool(gpu.Memory);
        using var graph = new GpuGraph(gpu, pool, null);
        (Tensor left, Tensor right) = Operands(gpu);
        using (left)
        using (right)
        using (Tensor c = Tensor.From(new float[s_size.M * s_size.N], [s_size.M, s_size.N], gpu))
        {
            void Work() => new CudaProduct(MmaType.BFloat16, MatMulLayout.NT, s_size, left, right, c, Accumulate: true).Run(gpu);
            graph.Rehearse(Work);
            Assert.Null(graph.Obstacle);
            Assert.True(graph.TryRecord(Work), graph.Obstacle);
            Assert.True(graph.TryReplay());
            Assert.Equal(Expected().Select(value => 2 * value), c.ToArray<float>());
        }
    }

    [Fact]
    public void TheEnvironmentKnowsThreeWords()
    {
        Assert.Equal([TrialMode.Tried, TrialMode.Tried, TrialMode.Strict, TrialMode.Off], new[] { null, "try", "strict", "off" }.Select(GpuDevice.ModeOf));
        Assert.Contains("'on'; known are try, strict and off", Assert.Throws<DeviceException>(() => GpuDevice.ModeOf("on")).Message);
    }

    private static GpuDevice Start(FaultyDriver faulty)
    {
        GpuDevice gpu = InterpretedDevice.Start(new(9, 0, 84, 2, 227 << 10), "two multiprocessors", around: faulty.Around);
        gpu.Warpgroups = TrialMode.Tried;
        return gpu;
    }

    private static float[] Product(GpuDevice gpu, ActivationKind activation = ActivationKind.None)
    {
        (Tensor left, Tensor right) = Operands(gpu);
        using (left)
        using (right)
        using (Tensor c = Tensor.Empty([s_size.M, s_size.N], DType.Float32, gpu))
        {
            new CudaProduct(MmaType.BFloat16, MatMulLayout.NT, s_size, left, right, c, Epilogue: new() { Activation = activation }).Run(gpu);
            return c.ToArray<float>();
        }
    }

    // Whole numbers: every order of the sums gives the same.
    private static int A(int i, int p) => (7 * i + 3 * p + i * p) % 13 - 6;

    private static int B(int j, int p) => (5 * j + 11 * p + j * p) % 11 - 5;

    private static (Tensor Left, Tensor Right) Operands(GpuDevice gpu)
    {
        return (On(s_size.M, A), On(s_size.N, B));

        Tensor On(int lines, Func<int, int, int> number) => Tensor.From(
            Enumerable.Range(0, lines * s_size.K).Select(at => (BFloat16)(float)number(at / s_size.K, at % s_size.K)).ToArray(), [lines, s_size.K], gpu);
    }

    private static float[] Expected() =>
        [.. Enumerable.Range(0, s_size.M * s_size.N).Select(at => (float)Enumerable.Range(0, s_size.K).Sum(p => A(at / s_size.N, p) * B(at % s_size.N, p)))];

    /// <summary>Passes everything on, except for what is wrong with it: with the texts of warpgroups, or with its events.</summary>
    private sealed class FaultyDriver : IPtxDriver
    {
        private IPtxDriver _driver = null!;

        internal Func<string, string> Change { get; init; } = text => text;

        /// <summary>A part of the names of the texts that it refuses.</summary>
        internal string? Refused { get; init; }

        internal bool NeverPasses { get; init; }

        /// <summary>How often events that never pass were asked.</summary>
        internal int Polls { get; set; }

        internal List<string> Loaded { get; } = [];

        public PtxTarget Target => _driver.Target;

        internal FaultyDriver Around(IPtxDriver driver)
        {
            _driver = driver;
            return this;
        }

        public IPtxModule Load(string name, string ptx)
        {
            Loaded.Add(name);
            if (!name.StartsWith("warpgroup", StringComparison.Ordinal)) return _driver.Load(name, ptx);
            string changed = Change(ptx);
            return changed == "this is no text" || (Refused is not null && name.Contains(Refused, StringComparison.Ordinal)) ? throw new DeviceException("CUDA_ERROR_INVALID_PTX (218)") : _driver.Load(name, changed);
        }

        public void Copy(nint source, nint destination, long byteLength) => _driver.Copy(source, destination, byteLength);

        public void Fill(nint destination, long byteLength, byte value) => _driver.Fill(destination, byteLength, value);

        public void CopyFromHost(nint source, nint destination, long byteLength) => _driver.CopyFromHost(source, destination, byteLength);

        public void CopyToHost(nint source, nint destination, long byteLength) => _driver.CopyToHost(source, destination, byteLength);

        public nint AllocateHost(long byteLength) => _driver.AllocateHost(byteLength);

        public void FreeHost(nint address) => _driver.FreeHost(address);

        public TensorMap MakeTensorMap(TensorTiles tiles) => _driver.MakeTensorMap(tiles);

        public IPtxEvent CreateEvent() => NeverPasses ? new DeadEvent(this, _driver.CreateEvent()) : _driver.CreateEvent();

        public void BeginCapture() => _driver.BeginCapture();

        public IPtxGraph EndCapture() => _driver.EndCapture();

        public void Dispose() => _driver.Dispose();
    }

    private sealed class DeadEvent(FaultyDriver driver, IPtxEvent inner) : IPtxEvent
    {
        public bool HasPassed
        {
            get
            {
                driver.Polls++;
                return false;
            }
        }

        public void Record() => inner.Record();

        public void Wait() => inner.Wait();

        public double MillisecondsSince(IPtxEvent start) => 0;

        public void Dispose() => inner.Dispose();
    }
}
