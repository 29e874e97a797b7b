using Delora.Kernels;

namespace Delora.Tests.Cpu;

public sealed class SpecialFunctionsTests
{
    // Computed with 40 digits by mpmath.
    [Theory]
    [InlineData(1e-10, 1.12837916709551262e-10, 0.999999999887162083)]
    [InlineData(0.1, 0.112462916018284898, 0.887537083981715102)]
    [InlineData(0.5, 0.520499877813046538, 0.479500122186953462)]
    [InlineData(1, 0.842700792949714869, 0.157299207050285131)]
    [InlineData(1.999, 0.995301556651370512, 0.00469844334862948768)]
    [InlineData(2, 0.995322265018952734, 0.00467773498104726584)]
    [InlineData(2.5, 0.999593047982555041, 0.00040695201744495894)]
    [InlineData(3, 0.999977909503001415, 0.0000220904969985854414)]
    [InlineData(4, 0.9999999845827421, 1.54172579002800189e-8)]
    [InlineData(5.5, 0.999999999999992642, 7.35784791797439806e-15)]
    [InlineData(10, 1.0, 2.08848758376254476e-45)]
    public void Erf_and_erfc(double x, double erf, double erfc)
    {
        Assert.Equal(1, SpecialFunctions.Erf(x) / erf, 1e-14);
        Assert.Equal(1, SpecialFunctions.Erfc(x) / erfc, 2e-13);
        Assert.Equal(-SpecialFunctions.Erf(x), SpecialFunctions.Erf(-x));
        Assert.Equal(1, SpecialFunctions.Erfc(-x) / (1 + erf), 1e-15);
    }

    [Fact]
    public void Special_values()
    {
        Assert.Equal(0, SpecialFunctions.Erf(0));
        Assert.Equal(1, SpecialFunctions.Erf(double.PositiveInfinity));
        Assert.Equal(-1, SpecialFunctions.Erf(double.NegativeInfinity));
        Assert.True(double.IsNaN(SpecialFunctions.Erf(double.NaN)));
    }
}
