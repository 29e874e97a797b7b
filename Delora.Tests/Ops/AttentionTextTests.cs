using Delora.Core;
using Delora.Kernels;
using Delora.Kernels.Ptx;
using Delora.Tests.KernelCompilation;

namespace Delora.Tests.Ops;

/// <summary>
/// Attention on tensor cores: against float64 with operands that are rounded to 16 bits before, so that what differs is the rounding of probabilities and of
/// gradients of scores; and what NVIDIA's assembler makes of the texts.
/// </summary>
public sealed class AttentionTextTests
{
    // Two groups of 128 threads on a multiprocessor have 255 registers a thread.
    private const int MostRegisters = 255;

    private static readonly AttentionCase[] s_cases =
    [
        new(1, 16, 16, 1, 1, 16), new(2, 33, 33, 4, 2, 8), new(1, 65, 65, 2, 1, 64), new(1, 40, 70, 2, 2, 24) { Keys = 61 },
        new(1, 31, 31, 2, 1, 40) { Causal = false, Scale = 0.3 }, new(2, 37, 37, 2, 1, 16) { Mask = AttentionMask.Left },
        new(2, 37, 37, 2, 2, 16) { Mask = AttentionMask.Right }, new(2, 20, 30, 2, 1, 32) { Causal = false, Mask = AttentionMask.Holes },
        new(2, 18, 22, 2, 1, 16) { Mask = AttentionMask.All }, new(1, 130, 130, 1, 1, 16) { Window = 20 }, new(1, 70, 100, 2, 1, 16) { Window = 33, Keys = 90 },
        new(2, 129, 129, 2, 1, 8) { Window = 40, Mask = AttentionMask.Left }, new(1, 33, 80, 2, 1, 16) { Window = 31, Causal = false },
        new(1, 80, 30, 2, 1, 16) { Window = 9, Causal = false }, new(1, 17, 40, 1, 1, 128), new(1, 34, 34, 1, 1, 104) { Mask = AttentionMask.Left },
    ];

    public static TheoryData<string, string> Types => TestDevices.CudaNames.With("BFloat16", "Float16");

    [Theory, MemberData(nameof(Types))]
    public void MatchesTheReferenceOfRoundedOperands(string name, string type)
    {
        // Probabilities, at most 1, are rounded to 8 or 11 bits; gradients of scores likewise, and are sums' factors with numbers of up to 2.
        (Device device, MmaType rounding) = (TestDevices.Get(name), Enum.Parse<MmaType>(type));
        double ulp = rounding == MmaType.BFloat16 ? 1.0 / 256 : 1.0 / 2048;
        foreach (AttentionCase of in s_cases)
        {
            AttentionCase rounded = of with { Rounding = rounding };
            OpTesting.MatchesReference(device, rounded.Forward, ulp);
            OpTesting.MatchesReference(device, d => rounded.Backward(d, true, true, true), 4 * ulp);
        }
    }

    [Theory, MemberData(nameof(TestDevices.CudaNames), MemberType = typeof(TestDevices))]
    public void OutputsThatBeginAtAnOddNumberAndKeysWithoutRoomAreComputedToo(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        foreach (Device device in (Device[])[gpu, Devices.Reference]) device.Memory.PoisonNewAllocations = true;
        double[][] expected = Results(Devices.Reference);
        gpu.MatMulPrecision = MatMulPrecision.BFloat16;
        try
        {
            double[][] actual = Results(gpu);
            for (int i = 0; i < expected.Length; i++)
            {
                Assert.Equal(expected[i].Length, actual[i].Length);
                for (int j = 0; j < expected[i].Length; j++) Assert.Equal(expected[i][j], actual[i][j], 0.05);
            }
        }
        finally
        {
            gpu.MatMulPrecision = MatMulPrecision.Float32;
        }

        static double[][] Results(Device device)
        {
            var results = new List<double[]>();
            foreach (int capacity in (int[])[0, 17])
            {
                Shape queries = [1, 17, 1, 8], keys = [1, capacity, 1, 8];
                var options = new AttentionOptions { Causal = false };
                using Tensor q = Numbers(queries, 1), k = Numbers(keys, 2), v = Numbers(keys, 3), dy = Numbers(queries, 4);
                using Tensor z = Tensor.Empty(AttentionKernel.StatisticsShape(q), device.FloatType, device);
                using Tensor outputs = Tensor.Empty([1 + 2 * (int)(q.ElementCount + k.ElementCount)], device.FloatType, device);
                using Tensor y = Part(1, queries), dq = Part(1 + q.ElementCount, queries), dk = Part(1 + 2 * q.ElementCount, keys);
                using Tensor dv = Part(1 + 2 * q.ElementCount + k.ElementCount, keys);
                AttentionKernel.Forward(q, k, v, null, y, z, options);
                AttentionKernel.Backward(q, k, v, null, y, z, dy, dq, dk, dv, options);
                results.AddRange(new[] { y, dq, dk, dv }.Select(output => output.ToArray<double>()));

                Tensor Part(long start, Shape shape) => outputs.View(shape, start);
            }
            return [.. results];

            Tensor Numbers(Shape shape, int seed) => Tensor.From(OpTesting.Numbers(shape.ElementCount, seed), shape, device);
        }
    }

    [Theory]
    [InlineData("sm_80", 64, 2, true, false), InlineData("sm_80", 128, 2, true, true), InlineData("sm_80", 128, 1, false, true), InlineData("sm_80", 24, 1, true, false)]
    [InlineData("sm_90a", 64, 2, true, false), InlineData("sm_90a", 128, 2, true, false), InlineData("sm_90a", 128, 1, true, true)]
    public void TheTextsAssembleIntoMatrixInstructionsWithoutStackAndSpills(string architecture, int dim, int rowTiles, bool causal, bool hasMask)
    {
        foreach (MmaType type in (MmaType[])[MmaType.BFloat16, MmaType.Float16])
        {
            var variant = new AttentionVariant(type, dim, causal, hasMask, rowTiles);
            List<PtxText> texts = [AttentionForwardText.Write(variant)];
            if (rowTiles == 1 || dim <= 64) texts.Add(AttentionQueryGradientText.Write(variant));
            if (rowTiles == 1) texts.Add(AttentionKeyGradientText.Write(variant));
            foreach (PtxText text in texts)
            {
                PtxReport report = NvidiaAssembler.Assemble(text.Text, architecture, disassemble: true);
                TestContext.Current.SendDiagnosticMessage($"{text.Entry} {architecture}: {report.Registers} registers, {text.SharedBytes} bytes of shared memory");
                Assert.True(report.StackBytes + report.SpilledBytes == 0, report.Report);
                Assert.InRange(report.Registers, 1, MostRegisters);
                if (report.Machine is not { } machine) continue;
                foreach (string instruction in (string[])["HMMA.16816.F32", "LDSM", "LDGSTS", "MUFU.EX2"]) Assert.Contains(instruction, machine);
            }
        }
    }
}
