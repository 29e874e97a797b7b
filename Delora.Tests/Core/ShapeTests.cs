using System.Numerics;
using CsCheck;
using Delora.Core;

namespace Delora.Tests.Core;

public class ShapeTests
{
    [Fact]
    public void A_scalar_has_no_dimensions_and_one_element()
    {
        Shape scalar = [];
        Assert.Equal((0, 1L, 1, 1L, "[]"), (scalar.Rank, scalar.ElementCount, scalar.Columns, scalar.Rows, scalar.ToString()));
        Assert.Equal(default, scalar);
        Assert.Throws<ShapeException>(() => scalar.WithColumns(3));
    }

    [Fact]
    public void Rows_and_columns_of_a_batch()
    {
        Shape shape = [2, 3, 5];
        Assert.Equal((30L, 6L, 5, 3, 5), (shape.ElementCount, shape.Rows, shape.Columns, shape[1], shape[^1]));
        Assert.Equal("[2, 3, 7]", shape.WithColumns(7).ToString());
        Assert.Equal((1L, 4), (new Shape(4).Rows, new Shape(4).Columns));
        int sum = 0;
        foreach (int dim in shape) sum += dim;
        Assert.Equal(10, sum);
    }

    [Fact]
    public void Equality_is_by_dimensions()
    {
        Shape a = [2, 3], b = new(2, 3);
        Assert.True(a == b && a.Equals((object)b) && a.GetHashCode() == b.GetHashCode());
        Assert.True(a != [3, 2] && a != [2, 3, 1] && !a.Equals("[2, 3]"));
    }

    [Fact]
    public void A_shape_keeps_its_own_dimensions()
    {
        int[] dims = [2, 3];
        var shape = new Shape(dims);
        dims[0] = 100;
        Assert.Equal([2, 3], shape);
    }

    [Fact]
    public void The_element_count_is_the_exact_product_or_an_error() =>
        Gen.Int[0, int.MaxValue].Array[0, Shape.MaxRank].Sample(dims =>
        {
            BigInteger nonZero = dims.Where(dim => dim > 0).Aggregate(BigInteger.One, (product, dim) => product * dim);
            if (nonZero > long.MaxValue)
                Assert.Throws<ShapeException>(() => new Shape(dims));
            else
                Assert.Equal(dims.Contains(0) ? 0 : nonZero, new Shape(dims).ElementCount);
        });

    [Theory]
    [InlineData(new[] { -1 }, "negative dimension -1: [-1]")]
    [InlineData(new[] { 2, int.MinValue }, "negative dimension -2147483648")]
    [InlineData(new[] { int.MaxValue, int.MaxValue, int.MaxValue }, "more than 2^63 elements: [2147483647, 2147483647, 2147483647]")]
    [InlineData(new[] { 0, int.MaxValue, int.MaxValue, int.MaxValue }, "more than 2^63 elements")]
    [InlineData(new[] { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, "9 dimensions: at most 8")]
    public void What_is_no_shape(int[] dims, string reason) =>
        Assert.Contains(reason, Assert.Throws<ShapeException>(() => new Shape(dims)).Message);
}
