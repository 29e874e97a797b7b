using System.Collections;
using System.Reflection;

namespace Delora.Tests;

/// <summary>Rows of theories say on which device they run, so that <c>--filter-trait Device=cuda</c> runs all that a card computes.</summary>
public sealed class TestDevicesTests
{
    private static readonly string[] s_cards = ["cuda", "opencl"];

    public static TheoryData<string> Sources =>
        [.. typeof(TestDevicesTests).Assembly.GetTypes().SelectMany(type => type.GetMethods())
            .SelectMany(
                method => method.GetCustomAttributes<MemberDataAttribute>(),
                (method, data) => (data.MemberType ?? method.ReflectedType)?.GetProperty(data.MemberName))
            // Not from types that are made for each test: their rows would read files.
            .OfType<PropertyInfo>().Where(property => property.PropertyType.Name.StartsWith("TheoryData", StringComparison.Ordinal))
            .Select(property => $"{property.DeclaringType!.FullName}.{property.Name}").Distinct()];

    [Theory, MemberData(nameof(Sources), DisableDiscoveryEnumeration = true)]
    public void EveryRowOfACardHasItsTrait(string source)
    {
        int dot = source.LastIndexOf('.');
        var rows = (IEnumerable)typeof(TestDevicesTests).Assembly.GetType(source[..dot], throwOnError: true)!.GetProperty(source[(dot + 1)..])!.GetValue(null)!;
        foreach (ITheoryDataRow row in rows.OfType<ITheoryDataRow>())
            if (row.GetData() is [string device, ..] && s_cards.Contains(device))
                Assert.True(
                    row.Traits is { } traits && traits.TryGetValue("Device", out HashSet<string>? named) && named.Contains(device),
                    $"{source}: a row of {device} has no trait");
    }
}
