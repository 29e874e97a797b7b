using System.Reflection;
using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Delora.Kernels;

/// <summary>
/// Turns kernel methods into PTX: ILGPU's compiler at level O2, without an accelerator, then <see cref="PtxRepair"/> and the header of the card.
/// </summary>
internal sealed partial class PtxCompiler(PtxTarget target) : IDisposable
{
    // ILGPU knows cards up to here; what it emits is common to all of them.
    private const int NewestArchitecture = 90;

    private Context? _context;
    private PTXBackend? _backend;

    /// <summary>The text of a kernel.</summary>
    /// <param name="kernel">The static method.</param>
    /// <param name="grouped">Whether it runs in explicit groups, else once per index.</param>
    internal string Compile(MethodInfo kernel, bool grouped)
    {
        try
        {
            var architecture = target.ComputeCapability >= NewestArchitecture
                ? new CudaArchitecture(NewestArchitecture / 10, NewestArchitecture % 10) : new CudaArchitecture(target.Major, target.Minor);
            _context ??= Context.Create(builder => builder.EnableAlgorithms().Optimize(OptimizationLevel.O2));
            _backend ??= new PTXBackend(
                _context, new CudaCapabilityContext(architecture), architecture, CudaInstructionSet.ISA_80, null!);
            EntryPointDescription entry = grouped
                ? EntryPointDescription.FromExplicitlyGroupedKernel(kernel)
                : EntryPointDescription.FromImplicitlyGroupedKernel(kernel);
            string ptx = PtxRepair.Repair(((PTXCompiledKernel)_backend.Compile(entry, KernelSpecialization.Empty)).PTXAssembly);
            return Target().Replace(Version().Replace(ptx, target.VersionLine, 1), target.TargetLine, 1);
        }
        catch
        {
            // A compilation that failed spoils its context for all others.
            Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _backend?.Dispose();
        _context?.Dispose();
        (_backend, _context) = (null, null);
    }

    [GeneratedRegex(@"^\.version .*$", RegexOptions.Multiline)]
    private static partial Regex Version();

    [GeneratedRegex(@"^\.target .*$", RegexOptions.Multiline)]
    private static partial Regex Target();
}
