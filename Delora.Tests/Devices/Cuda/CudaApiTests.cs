using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Delora.Kernels;
using Delora.Kernels.Ptx;
using Delora.Tests.KernelCompilation;

namespace Delora.Tests.DeviceTests;

/// <summary>What the CUDA layer can be held to without a card: names, layouts, and what kernels declare.</summary>
public sealed class CudaApiTests
{
    /// <summary>With NVIDIA's stub of the driver (toolkit, <c>lib64/stubs/libcuda.so</c>): <c>DELORA_LIBCUDA_STUB</c> names it.</summary>
    [Fact]
    public void EveryFunctionIsExportedByTheDriver()
    {
        string[] names = [.. typeof(CudaApi).GetMethods(BindingFlags.Static | BindingFlags.NonPublic)
            .Select(method => method.GetCustomAttribute<LibraryImportAttribute>()?.EntryPoint).OfType<string>()];
        Assert.Contains("cuLaunchKernel", names);
        if (Environment.GetEnvironmentVariable("DELORA_LIBCUDA_STUB") is not { Length: > 0 } path)
        {
            Assert.Skip("DELORA_LIBCUDA_STUB does not name the toolkit's stub of libcuda.so");
            return;
        }
        nint library = NativeLibrary.Load(path);
        Assert.All(names, name => Assert.True(NativeLibrary.TryGetExport(library, name, out _), name));
        Assert.False(NativeLibrary.TryGetExport(library, "cuNoSuchFunction", out _));
    }

    [Fact]
    public void StructsLieAsInTheHeader()
    {
        Assert.Equal(72, Unsafe.SizeOf<CudaLaunchAttribute>());
        Assert.Equal(56, Unsafe.SizeOf<CudaLaunchConfig>());
        Assert.Equal(32, (int)Marshal.OffsetOf<CudaLaunchConfig>(nameof(CudaLaunchConfig.Stream)));
        Assert.Equal(40, (int)Marshal.OffsetOf<CudaLaunchConfig>(nameof(CudaLaunchConfig.Attributes)));
        Assert.Equal(48, (int)Marshal.OffsetOf<CudaLaunchConfig>(nameof(CudaLaunchConfig.AttributeCount)));
        Assert.Equal(8, (int)Marshal.OffsetOf<CudaLaunchAttribute>(nameof(CudaLaunchAttribute.ClusterX)));
    }

    [Theory]
    [InlineData(11080, 78), InlineData(12000, 80), InlineData(12040, 84), InlineData(12080, 85), InlineData(13000, 90), InlineData(10020, 60)]
    public void ADriverReadsTexts(int driver, int version) => Assert.Equal(version, PtxTarget.VersionOf(driver));

    [Theory]
    [InlineData(8, 0, 84, "sm_80", "8.3"), InlineData(8, 6, 84, "sm_86", "8.3"), InlineData(8, 9, 78, "sm_89", "7.8"), InlineData(9, 0, 90, "sm_90a", "8.3")]
    [InlineData(9, 0, 78, "sm_90", "7.8"), InlineData(10, 0, 90, "sm_90", "8.3"), InlineData(12, 0, 90, "sm_90", "8.3"), InlineData(7, 5, 85, "sm_75", "8.3")]
    public void ACardIsATargetThatItRuns(int major, int minor, int version, string target, string text) =>
        Assert.Equal($".version {text}\n.target {target}\n.address_size 64\n", new PtxTarget(major, minor, version, 1, 1).Header);

    [Fact]
    public void EveryKernelTakesItsArgumentsAsTheyAreWritten()
    {
        using var compiler = new PtxCompiler(new PtxTarget(9, 0, 84, 132, 227 << 10));
        Assert.All(KernelCatalog.All, kernel =>
        {
            bool grouped = !KernelCatalog.IsImplicitlyGrouped(kernel);
            PtxSignature signature = PtxSignature.Read(compiler.Compile(kernel, grouped));
            PtxParameter[] written = [.. kernel.GetParameters().Select(parameter => KernelLayout.Measure(parameter.ParameterType))];
            Assert.Equal(signature.Parameters, written);
        });
    }

    /// <summary>
    /// The driver copies as many bytes from each address of a launch as the assembler has noted. Where it copies them to is its business: a tensor map lies
    /// elsewhere than a C struct would have it.
    /// </summary>
    [Theory, InlineData("sm_90a", 2), InlineData("sm_90a", 0), InlineData("sm_80", -1)]
    public void ALaunchGivesTheBytesThatTheAssemblerAsksFor(string architecture, int branchSteps)
    {
        PtxText text = branchSteps < 0
            ? AttentionForwardText.Write(new(MmaType.BFloat16, 64, true, true, 1))
            : WarpgroupWriter.Write(new(MmaType.BFloat16, MatMulLayout.NT, 128, branchSteps, true));
        PtxSignature signature = PtxSignature.Read(text.Text);
        (int Offset, int Size)[] parameters = NvidiaAssembler.Parameters(text.Text, architecture);
        Assert.Equal(signature.Parameters.Select(parameter => parameter.Size), parameters.Select(parameter => parameter.Size));
        if (branchSteps >= 0) Assert.NotEqual(signature.Offsets, parameters.Select(parameter => parameter.Offset));
    }

    [Fact]
    public void ADeclarationIsReadWithItsCommentsArraysAndPointers()
    {
        const string Text = """
            .version 8.0 // .entry none()
            .visible .entry first() { ret; }
            .visible .entry second(
                .param .u64 .ptr .global .align 16 a, /* , .param .u8 b */
                .param .align 64 .b8 map[128],
                .param .bf16 c,
                .param .f64 d
            )
            .maxntid 128, 1, 1
            { ret; }
            """;
        Assert.Empty(PtxSignature.Read(Text, "first").Parameters);
        Assert.Equal([new(8, 8), new(128, 64), new(2, 2), new(8, 8)], PtxSignature.Read(Text, "second").Parameters);
        Assert.Equal([0, 64, 192, 200], PtxSignature.Read(Text, "second").Offsets);
        Assert.Throws<Delora.Core.DeviceException>(() => PtxSignature.Read(Text));
        Assert.Throws<Delora.Core.DeviceException>(() => PtxSignature.Read(Text, "third"));
        Assert.Throws<Delora.Core.DeviceException>(() => PtxSignature.Read(".entry x(.param .texref t)"));
    }
}
