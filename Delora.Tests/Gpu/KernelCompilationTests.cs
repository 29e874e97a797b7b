using System.Reflection;
using Delora.Kernels;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Delora.Tests.Gpu;

/// <summary>
/// Every GPU kernel of Delora.Kernels compiles to PTX and to OpenCL C, checked without a card: the simulator runs .NET code and would not notice
/// what the real back ends cannot translate. Kernels are found by reflection: static void methods of the classes <c>Gpu*</c> that take
/// values only, generic ones once for every op that fits.
/// </summary>
public sealed class KernelCompilationTests
{
    public static TheoryData<string> Kernels => [.. s_kernels.Keys.Order(StringComparer.Ordinal)];

    private static readonly Dictionary<string, MethodInfo> s_kernels = Find();

    [Fact]
    public void Kernels_are_found() => Assert.Contains(s_kernels.Keys, name => name.StartsWith("GpuRelu", StringComparison.Ordinal) || name.Contains("CpuGelu"));

    [Theory, MemberData(nameof(Kernels))]
    public void Compiles_to_ptx(string kernel)
    {
        // A context for each: a kernel that fails would break every later compilation in its own.
        using Context context = Create();
        using var backend = new PTXBackend(context, new CudaCapabilityContext(CudaArchitecture.SM_80), CudaArchitecture.SM_80, CudaInstructionSet.ISA_70, null);
        var compiled = (PTXCompiledKernel)backend.Compile(EntryPoint(s_kernels[kernel]), KernelSpecialization.Empty);
        Assert.Contains(".entry", compiled.PTXAssembly);
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Compiles_to_opencl(string kernel)
    {
        using Context context = Create();
        ConstructorInfo capabilities = typeof(CLCapabilityContext).GetConstructors()[0];
        // Generic address space is required; Half, Int64 atomics and the like are not in the portable subset.
        object[] available = [.. capabilities.GetParameters().Select(parameter => (object)(parameter.Name is "genericAddressSpace"))];
        using var backend = new CLBackend(context, (CLCapabilityContext)capabilities.Invoke(available), CLDeviceVendor.Other, CLCVersion.CL30);
        var compiled = (CLCompiledKernel)backend.Compile(EntryPoint(s_kernels[kernel]), KernelSpecialization.Empty);
        Assert.Contains("kernel void", compiled.Source);
    }

    private static Context Create() => Context.Create().EnableAlgorithms().Optimize(OptimizationLevel.O2).ToContext();

    private static EntryPointDescription EntryPoint(MethodInfo kernel) =>
        kernel.GetParameters()[0].ParameterType == typeof(Index1D)
            ? EntryPointDescription.FromImplicitlyGroupedKernel(kernel)
            : EntryPointDescription.FromExplicitlyGroupedKernel(kernel);

    private static Dictionary<string, MethodInfo> Find()
    {
        Type[] all = typeof(GpuDevice).Assembly.GetTypes();
        var kernels = new Dictionary<string, MethodInfo>();
        foreach (Type type in all.Where(type => type is { IsAbstract: true, IsSealed: true } && type.Name.StartsWith("Gpu", StringComparison.Ordinal)))
            foreach (MethodInfo method in type.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly))
            {
                ParameterInfo[] parameters = method.GetParameters();
                if (method.ReturnType != typeof(void) || parameters.Length == 0 || parameters.Any(parameter => !IsValue(parameter.ParameterType))) continue;
                if (!method.IsGenericMethodDefinition)
                    kernels[$"{type.Name}.{method.Name}"] = method;
                else if (method.GetGenericArguments() is [{ } argument])
                    foreach (Type op in all.Where(op => op is { IsValueType: true, IsGenericType: false } && Fits(op, argument)))
                        kernels[$"{type.Name}.{method.Name}<{op.DeclaringType?.Name}.{op.Name}>"] = method.MakeGenericMethod(op);
            }
        return kernels;
    }

    private static bool IsValue(Type type) => type.IsGenericParameter || (type.IsValueType && !type.IsByRefLike);

    private static bool Fits(Type op, Type argument) =>
        argument.GetGenericParameterConstraints() is { Length: > 0 } constraints
        && constraints.Where(constraint => constraint.IsInterface).All(constraint => constraint.IsAssignableFrom(op))
        && constraints.Any(constraint => constraint.IsInterface);
}
