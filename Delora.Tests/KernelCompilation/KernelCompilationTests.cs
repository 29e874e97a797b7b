using System.Reflection;
using System.Text.RegularExpressions;
using Delora.Kernels;
using Delora.Tests.Ptx;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Delora.Tests.KernelCompilation;

/// <summary>Compiles every kernel of the project for CUDA and for OpenCL, which needs neither a card nor a driver.</summary>
public sealed partial class KernelCompilationTests
{
    [Fact]
    public void TheCatalogFindsKernelsWithTheirTypeArguments()
    {
        string[] names = [.. KernelCatalog.All.Select(GpuDevice.KernelName)];
        Assert.Contains("GpuMap.UnaryKernel<ForwardOp>", names);
        Assert.Contains("GpuTiledProduct.Kernel<SquareTile, LayoutNN, BranchMask, CodedRight, NoActivation>", names);
        Assert.Contains("GpuTiledProduct.Kernel<SmallTile, LayoutTN, RightMask, PlainRight, NoActivation>", names);
        Assert.All(KernelCatalog.All, kernel => Assert.False(kernel.ContainsGenericParameters));
    }

    [Theory, InlineData(8, 0), InlineData(9, 0)]
    public void EveryKernelCompilesForCuda(int major, int minor)
    {
        List<string> failures = Compile(context => Ptx(context, new CudaArchitecture(major, minor)), (_, compiled) =>
        {
            string text = PtxRepair.Repair(((PTXCompiledKernel)compiled).PTXAssembly);
            return text.Contains(".local", StringComparison.Ordinal) ? "uses local memory: an array, or a variable whose address is taken"
                : BranchMarkedUniform().IsMatch(text) ? "has a branch that is marked uniform"
                : WhyNotInterpreted(text);
        });
        Assert.True(failures.Count == 0, string.Join("\n", failures));
    }

    /// <summary>What the tests' interpreter does not know in a text, or null.</summary>
    private static string? WhyNotInterpreted(string text)
    {
        try
        {
            PtxLoadedText loaded = new PtxMachine(PtxMachineDriver.Hopper, () => []).Load("the kernel", text);
            foreach (string entry in loaded.EntryNames) loaded.Entry(entry);
            return null;
        }
        catch (PtxFault fault)
        {
            return $"cannot be interpreted: {fault.Message}";
        }
    }

    [Theory, InlineData(true), InlineData(false)]
    public void EveryKernelCompilesForOpenCl(bool float64)
    {
        // The least that a device may have: no half, no sub-groups, perhaps no double. Kernels in Float64Sum run only where there is double.
        Backend Backend(Context context) =>
            new CLBackend(context, new CLCapabilityContext(false, float64, true, false, false), CLDeviceVendor.Other, CLCVersion.CL20);
        List<string> failures = Compile(Backend, (_, compiled) =>
            {
                OpenClRepair.Apply(compiled);
                string text = ((CLCompiledKernel)compiled).Source;
                return !text.Contains("kernel void", StringComparison.Ordinal) ? "has no entry point"
                    : SharedVariableOfTheProgram().IsMatch(text) ? "has a pointer to shared memory that all groups share"
                    : null;
            },
            kernel => float64 || !NamesFloat64(kernel));
        Assert.True(failures.Count == 0, string.Join("\n", failures));
    }

    /// <summary>With 65,536 registers a multiprocessor then holds two groups of 256 threads, so that one computes while the other waits.</summary>
    private const int MaxRegisters = 128;

    /// <summary>
    /// With NVIDIA's assembler: <c>DELORA_PTXAS</c> names it, else it is looked for in PATH. The texts are those that are launched, and so is the target.
    /// </summary>
    [Theory, InlineData(6, 0), InlineData(8, 0), InlineData(8, 6), InlineData(9, 0)]
    public void EveryKernelAssemblesWithoutStackAndSpills(int major, int minor)
    {
        if (NvidiaAssembler.Path is null) Assert.Skip(NvidiaAssembler.Missing);
        var target = new PtxTarget(major, minor, 84, 1, 1);
        using var compiler = new PtxCompiler(target);
        var failures = new List<string>();
        foreach (MethodInfo kernel in KernelCatalog.All)
        {
            PtxReport report = NvidiaAssembler.Assemble(compiler.Compile(kernel, !KernelCatalog.IsImplicitlyGrouped(kernel)), target.Name);
            TestContext.Current.SendDiagnosticMessage($"{GpuDevice.KernelName(kernel)}: {report.Registers} registers");
            if (report.StackBytes + report.SpilledBytes > 0 || report.Registers > MaxRegisters)
                failures.Add($"{GpuDevice.KernelName(kernel)}: {report.Report}");
        }
        Assert.True(failures.Count == 0, string.Join("\n", failures));
    }

    [Fact]
    public void TheRepairTakesTheMarkFromBranchesAndNothingElse()
    {
        const string Text = "\t@%p1 bra.uni\tL_1;\n\tbrx.idx.uni\t%r1, L_2;\n\tret.uni;\n\t@%p2 bra\tL_3;\n";
        Assert.Equal("\t@%p1 bra\tL_1;\n\tbrx.idx\t%r1, L_2;\n\tret.uni;\n\t@%p2 bra\tL_3;\n", PtxRepair.Repair(Text));
    }

    [Fact]
    public void TheRepairGivesEachGroupItsOwnPointerToSharedMemory()
    {
        const string Program = "local float* shared_var_7;\nint shared_var_len_7;\n";
        const string Head = "kernel void K(\n\tlocal char* memory,\n\tint length)\n{\n";
        const string Body = "\tint var1;\n\tshared_var_7 = (local float*)memory;\n}\n";
        Assert.Equal($"{Head}\tlocal float* shared_var_7;\n\tint shared_var_len_7;\n{Body}", OpenClRepair.Repair(Program + Head + Body));
        Assert.Equal(Head + Body, OpenClRepair.Repair(Head + Body));
        const string Function = "float f() { return shared_var_7[0]; }\n";
        Assert.Throws<NotSupportedException>(() => OpenClRepair.Repair(Program + Function + Head + Body));
    }

    private static PTXBackend Ptx(Context context, CudaArchitecture architecture) =>
        new(context, new CudaCapabilityContext(architecture), architecture, CudaInstructionSet.ISA_80, null!);

    /// <summary>Compiles every kernel and says which ones fail or do not please <paramref name="judge"/>.</summary>
    private static List<string> Compile(
        Func<Context, Backend> create, Func<MethodInfo, CompiledKernel, string?> judge, Predicate<MethodInfo>? which = null)
    {
        var failures = new List<string>();
        Context? context = null;
        Backend? backend = null;
        foreach (MethodInfo kernel in KernelCatalog.All.Where(kernel => which?.Invoke(kernel) ?? true))
        {
            context ??= Context.Create(builder => builder.EnableAlgorithms().Optimize(OptimizationLevel.O2));
            backend ??= create(context);
            string? failure;
            try
            {
                EntryPointDescription entry = KernelCatalog.IsImplicitlyGrouped(kernel)
                    ? EntryPointDescription.FromImplicitlyGroupedKernel(kernel)
                    : EntryPointDescription.FromExplicitlyGroupedKernel(kernel);
                failure = judge(kernel, backend.Compile(entry, KernelSpecialization.Empty));
            }
            catch (Exception error)
            {
                failure = error.GetBaseException().Message;
                // A failed compilation spoils its context for all others.
                backend.Dispose();
                context.Dispose();
                (backend, context) = (null, null);
            }
            if (failure is not null) failures.Add($"{GpuDevice.KernelName(kernel)}: {failure}");
        }
        backend?.Dispose();
        context?.Dispose();
        return failures;
    }

    private static bool NamesFloat64(MethodInfo kernel) =>
        kernel.GetGenericArguments().Concat(kernel.DeclaringType!.GetGenericArguments()).Contains(typeof(Float64Sum));

    [GeneratedRegex(@"\bbr(a|x\.idx)\.uni\b")]
    private static partial Regex BranchMarkedUniform();

    [GeneratedRegex(@"^local .*\*\s*shared_var", RegexOptions.Multiline)]
    private static partial Regex SharedVariableOfTheProgram();
}
