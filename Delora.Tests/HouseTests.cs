using System.Reflection;
using Delora.Autograd;
using Delora.Bench;
using Delora.Kernels;

namespace Delora.Tests;

/// <summary>
/// One op, one name, everywhere it lives: a kernel X has a reference, an implementation for each kind of device, a function for the tape or a
/// mark that it has no derivative, tests and benchmarks. Kernels are found by reflection: adding one edits no list.
/// </summary>
public sealed class HouseTests
{
    private const string Suffix = "Kernel";

    public static TheoryData<string> Ops => [.. Kernels.Select(Name).Order(StringComparer.Ordinal)];

    private static IEnumerable<Type> Kernels =>
        typeof(ReluKernel).Assembly.GetExportedTypes()
            .Where(type => type is { IsAbstract: true, IsSealed: true } && type.Name.EndsWith(Suffix, StringComparison.Ordinal));

    [Fact]
    public void Kernels_are_found() => Assert.Contains("DeloraFold", Ops.Select(row => row.Data));

    [Theory, MemberData(nameof(Ops))]
    public void Every_part_of_an_op_is_there(string op) => Assert.Empty(Missing(Kernels.Single(kernel => Name(kernel) == op)));

    [Fact]
    public void A_kernel_of_which_nothing_else_exists_is_noticed()
    {
        Assert.Equal(6, Missing(typeof(AloneKernel)).Count());
        Assert.Contains(Missing(typeof(UnexplainedKernel)), line => line.Contains("no reason", StringComparison.Ordinal));
    }

    private static string Name(Type kernel) => kernel.Name[..^Suffix.Length];

    private static IEnumerable<string> Missing(Type kernel)
    {
        string op = Name(kernel);
        Assembly kernels = typeof(ReluKernel).Assembly;
        MethodInfo[] own = kernel.GetMethods(BindingFlags.Static | BindingFlags.NonPublic);
        if (!own.Any(method => method.Name.StartsWith("Reference", StringComparison.Ordinal)))
            yield return $"{kernel.Name} has no Reference method (Kernels/{op}/{kernel.Name}.Reference.cs)";
        foreach (string kind in (string[])["Cpu", "Gpu"])
            if (kernels.GetType($"Delora.Kernels.{kind}{op}") is null)
                yield return $"Delora.Kernels.{kind}{op} is missing (Kernels/{op}/{kind}{op}.cs)";

        bool function = typeof(Functions).GetMethods(BindingFlags.Static | BindingFlags.Public).Any(method => method.Name == op);
        NoDerivativeAttribute? mark = kernel.GetCustomAttribute<NoDerivativeAttribute>();
        if (!function && mark is null)
            yield return $"Functions.{op} is missing (Autograd/Functions/{op}.cs), and {kernel.Name} is not marked [NoDerivative]";
        if (mark is not null && string.IsNullOrWhiteSpace(mark.Reason)) yield return $"{kernel.Name} is marked [NoDerivative] for no reason";

        if (!typeof(HouseTests).Assembly.GetTypes().Any(type => type.Name == op + "Tests" && HasTests(type)))
            yield return $"{op}Tests is missing (Tests/Ops/{op}Tests.cs)";
        if (!typeof(OpBenchmarks).Assembly.GetTypes().Any(type => type.Name == op + "Benchmarks" && type.IsSubclassOf(typeof(OpBenchmarks))))
            yield return $"{op}Benchmarks is missing (Bench/Ops/{op}Benchmarks.cs)";
    }

    private static bool HasTests(Type type) => type.GetMethods().Any(method => method.IsDefined(typeof(FactAttribute), inherit: true));

    private static class AloneKernel;

    [NoDerivative(" ")]
    private static class UnexplainedKernel;
}
