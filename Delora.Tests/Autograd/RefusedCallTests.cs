using System.Reflection;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Autograd;

/// <summary>
/// A call that a function refuses, outside of any scope, leaves no memory to the finalizer: neither its output nor what it saves.
/// </summary>
public sealed class RefusedCallTests
{
    /// <summary>Calls that must be refused, for every function.</summary>
    private static readonly Dictionary<string, Action<Operands>[]> s_refused = new()
    {
        ["Add"] = [o => o.Matrix.Add(o.Row), o => o.Matrix.Add(o.Ids), o => o.Matrix.Add(o.Elsewhere)],
        ["AddBias"] = [o => o.Matrix.AddBias(o.One), o => o.Matrix.AddBias(o.Elsewhere), o => o.Scalar.AddBias(o.Row)],
        ["Argmax"] = [o => o.Ids.Argmax(), o => o.Scalar.Argmax()],
        ["Attention"] =
        [
            o => o.Matrix.Attention(o.Matrix, o.Matrix), o => o.Heads.Attention(o.Matrix, o.Matrix),
            o => o.Heads.Attention(o.Heads, o.Elsewhere), o => o.Heads.Attention(o.Heads, o.Heads, o.Row),
            o => o.Heads.Attention(o.Heads, o.Heads, keys: 1), o => o.Heads.Attention(o.Heads, o.Heads, scale: double.NaN),
        ],
        ["Cast"] = [o => o.Matrix.Cast(DType.Int32), o => o.Ids.Cast(DType.BFloat16)],
        ["Checkpoint"] = [o => o.Gone.Checkpoint(x => x.Gelu()), o => o.Ids.Checkpoint(x => x.Gelu())],
        ["ColumnNorm"] = [o => o.Row.ColumnNorm(), o => o.Ids.ColumnNorm()],
        ["Concat"] =
        [
            o => Functions.Concat(0, o.Matrix, o.Row), o => Functions.Concat(0, o.Matrix, o.Ids),
            o => Functions.Concat(1, o.Matrix, o.Elsewhere), o => Functions.Concat(0),
        ],
        ["CrossEntropy"] =
        [
            o => o.Matrix.CrossEntropy(o.BadIds), o => o.Matrix.CrossEntropy(o.Row), o => o.Matrix.CrossEntropy(o.Ids),
            o => o.Scalar.CrossEntropy(o.BadIds),
        ],
        ["CrossEntropyRows"] =
            [o => o.Matrix.CrossEntropyRows(o.BadIds), o => o.Matrix.CrossEntropyRows(o.Row), o => o.Matrix.CrossEntropyRows(o.Ids)],
        ["DeloraFold"] =
        [
            o => Functions.DeloraFold(new DeloraBranch(o.Matrix, o.Matrix, o.Row, o.Row)),
            o => Functions.DeloraFold(
                new DeloraBranch(o.Square, o.Square, o.One, o.Row), new DeloraBranch(o.Square, o.Square, o.Elsewhere, o.Row)),
        ],
        ["DeloraFoldAll"] =
        [
            o => Functions.DeloraFoldAll([new DeloraBranch(o.Square, o.Square, o.One, o.Row)], [new DeloraBranch(o.Matrix, o.Matrix, o.Row, o.Row)]),
            o => Functions.DeloraFoldAll([new DeloraBranch(o.Square, o.Square, o.One, o.Row)], [new DeloraBranch(o.Square, o.Square, o.Elsewhere, o.Row)]),
        ],
        ["Detach"] = [o => o.Gone.Detach()],
        ["Dropout"] = [o => o.Ids.Dropout(0.5f, default), o => o.Matrix.Dropout(2, default), o => o.Gone.Dropout(0.5f, default)],
        ["Embedding"] = [o => o.Matrix.Embedding(o.BadIds), o => o.Row.Embedding(o.BadIds), o => o.Matrix.Embedding(o.Row)],
        ["EmbeddingBag"] = [o => o.Matrix.EmbeddingBag(o.BadIds, o.BadIds), o => o.Matrix.EmbeddingBag(o.Row, o.BadIds)],
        ["FrozenLinear"] =
        [
            o => o.Matrix.FrozenLinear(o.Weight, o.One), o => o.Ids.FrozenLinear(o.Weight), o => o.Scalar.FrozenLinear(o.Weight),
            o => o.Matrix.FrozenLinear(o.Weight, residual: o.Row), o => o.Matrix.FrozenLinear(o.Weight, null, ActivationKind.Gelu, o.Row),
            o => o.Matrix.FrozenLinear(o.Weight, null, (ActivationKind)77),
        ],
        ["GatherColumns"] =
            [o => o.Matrix.GatherColumns(o.BadIds), o => o.Row.GatherColumns(o.Ids), o => o.Matrix.GatherColumns(o.Row), o => o.Gone.GatherColumns(o.Ids)],
        ["Gelu"] = [o => o.Ids.Gelu(), o => o.Gone.Gelu()],
        ["GeluTanh"] = [o => o.Ids.GeluTanh(), o => o.Gone.GeluTanh()],
        ["LayerNorm"] =
        [
            o => o.Matrix.LayerNorm(o.One, null, 1e-5), o => o.Matrix.LayerNorm(o.Row, o.One, 1e-5),
            o => o.Matrix.LayerNorm(o.Row, null, -1), o => o.Scalar.LayerNorm(o.Row, null, 1e-5),
            o => o.Matrix.LayerNorm(o.Row, o.Elsewhere, 1e-5),
        ],
        ["Linear"] =
        [
            o => o.Matrix.Linear(o.Row), o => o.Ids.Linear(o.Square), o => o.Matrix.Linear(o.Square, o.One), o => o.Scalar.Linear(o.Square),
            o => o.Matrix.Linear(o.Square, residual: o.Row), o => o.Matrix.Linear(o.Square, null, ActivationKind.Silu, o.Elsewhere),
        ],
        ["LinearCrossEntropy"] =
        [
            o => o.Matrix.LinearCrossEntropy(o.Weight, o.BadIds), o => o.Matrix.LinearCrossEntropy(o.Square, o.BadIds),
            o => o.Matrix.LinearCrossEntropy(o.Square, o.Row), o => o.Matrix.LinearCrossEntropy(o.Row, o.BadIds),
            o => o.Scalar.LinearCrossEntropy(o.Weight, o.BadIds), o => o.Ids.LinearCrossEntropy(o.Weight, o.BadIds),
        ],
        ["LowRankLinear"] =
        [
            o => o.Matrix.LowRankLinear(o.Weight, null, o.Matrix, o.Matrix), o => o.Matrix.LowRankLinear(o.Weight, null, o.Row, o.Row),
            o => o.Matrix.LowRankLinear(o.Weight, o.Elsewhere, o.Square, o.Square), o => o.Ids.LowRankLinear(o.Weight, null, o.Square, o.Square),
            o => o.Matrix.LowRankLinear(o.Weight, null, o.Square, o.Square, null, ActivationKind.None, o.Row),
            o => o.Matrix.LowRankLinear(o.Weight, null, o.Square, o.Square, null, ActivationKind.Relu, o.Row),
        ],
        ["MatMul"] = [o => o.Matrix.MatMul(o.Matrix), o => o.Matrix.MatMul(o.Ids), o => o.Elsewhere.MatMul(o.Square)],
        ["Mean"] = [o => o.Ids.Mean(), o => o.Gone.Mean()],
        ["MeanRows"] = [o => o.Ids.MeanRows(), o => o.Scalar.MeanRows()],
        ["Multiply"] = [o => o.Matrix.Multiply(o.Row), o => o.Matrix.Multiply(o.Ids), o => o.Matrix.Multiply(o.Elsewhere)],
        ["Relu"] = [o => o.Ids.Relu(), o => o.Gone.Relu()],
        ["Reshape"] = [o => o.Matrix.Reshape([5]), o => o.Gone.Reshape([6])],
        ["RmsNorm"] =
        [
            o => o.Matrix.RmsNorm(o.One, 1e-6), o => o.Matrix.RmsNorm(o.Row, double.NaN), o => o.Scalar.RmsNorm(o.Row, 1e-6),
            o => o.Ids.RmsNorm(o.Row, 1e-6),
        ],
        ["RotaryEmbedding"] =
        [
            o => o.Matrix.RotaryEmbedding(o.Square, o.Square), o => o.Ids.RotaryEmbedding(o.Row, o.Row),
            o => o.Gone.RotaryEmbedding(o.Row, o.Row),
        ],
        ["RowNorm"] = [o => o.Row.RowNorm(), o => o.Ids.RowNorm()],
        ["Scale"] = [o => o.Matrix.Scale(double.NaN), o => o.Ids.Scale(2)],
        ["Sigmoid"] = [o => o.Ids.Sigmoid(), o => o.Gone.Sigmoid()],
        ["Silu"] = [o => o.Ids.Silu(), o => o.Gone.Silu()],
        ["Slice"] = [o => o.Matrix.Slice(1, 2), o => o.Scalar.Slice(0, 1), o => o.Gone.Slice(0, 1)],
        ["Softmax"] = [o => o.Ids.Softmax(), o => o.Scalar.Softmax()],
        ["Split"] = [o => o.Matrix.Split(2, 2), o => o.Matrix.Split(0, 1, 2), o => o.Scalar.Split(0, 1), o => o.Gone.Split(0, 1, 1)],
        ["Sum"] = [o => o.Ids.Sum(), o => o.Gone.Sum()],
        ["SumRows"] = [o => o.Ids.SumRows(), o => o.Scalar.SumRows()],
        ["SwiGlu"] = [o => o.Matrix.SwiGlu(o.Row), o => o.Ids.SwiGlu(o.Ids), o => o.Matrix.SwiGlu(o.Elsewhere)],
        ["Tanh"] = [o => o.Ids.Tanh(), o => o.Gone.Tanh()],
    };

    [Fact]
    public void Every_function_has_calls_that_it_must_refuse() =>
        Assert.Equal(
            typeof(Functions).GetMethods(BindingFlags.Static | BindingFlags.Public).Select(method => method.Name).Distinct()
                .Order(StringComparer.Ordinal),
            s_refused.Keys.Order(StringComparer.Ordinal));

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void A_refused_call_leaves_no_memory_behind(string name)
    {
        Device device = TestDevices.Get(name);
        using var operands = new Operands(device);
        HashSet<long> before = NoLeaksAttribute.Ids(device);
        foreach ((string function, Action<Operands>[] calls) in s_refused)
            for (int i = 0; i < calls.Length; i++)
            {
                Exception? refusal = Record.Exception(() => calls[i](operands));
                Assert.True(refusal is DeloraException or ArgumentException or ObjectDisposedException, $"{function}, call {i}: {refusal}");
                Assert.Equal([], NoLeaksAttribute.Forgotten(device, before).Select(leak => $"{function}, call {i}: {leak}"));
            }
    }

    /// <summary>Tensors to call with.</summary>
    private sealed class Operands : IDisposable
    {
        internal Operands(Device device)
        {
            Matrix = Zeros([2, 3]);
            Square = Zeros([3, 3]);
            Row = Zeros([3]);
            One = Zeros([1]);
            Scalar = Zeros([]);
            Heads = Zeros([1, 2, 1, 3]);
            Weight = FrozenWeight.Create(Square);
            Ids = Tensor.From([0, 1, 2, 0, 1, 2], [2, 3], device);
            BadIds = Tensor.From([0, 77], [2], device);
            Device other = device is ReferenceDevice ? Devices.Cpu : Devices.Reference;
            Elsewhere = Tensor.Zeros([2, 3], other.FloatType, other);
            Gone = Zeros([2, 3]);
            Gone.Dispose();

            Tensor Zeros(Shape shape) => Tensor.Zeros(shape, device.FloatType, device);
        }

        internal Tensor Matrix { get; }

        internal Tensor Square { get; }

        internal Tensor Row { get; }

        internal Tensor One { get; }

        internal Tensor Scalar { get; }

        /// <summary>[batch, seq, heads, dim].</summary>
        internal Tensor Heads { get; }

        internal FrozenWeight Weight { get; }

        /// <summary>int32 of the matrix's shape.</summary>
        internal Tensor Ids { get; }

        /// <summary>int32, one of them out of every range.</summary>
        internal Tensor BadIds { get; }

        /// <summary>On another device.</summary>
        internal Tensor Elsewhere { get; }

        /// <summary>Disposed.</summary>
        internal Tensor Gone { get; }

        public void Dispose()
        {
            foreach (Tensor tensor in (Tensor[])[Matrix, Square, Row, One, Scalar, Heads, Ids, BadIds, Elsewhere]) tensor.Dispose();
            Weight.Dispose();
        }
    }
}
