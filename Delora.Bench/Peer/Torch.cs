using Delora.Bench.Compare;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Delora.Bench.Peer;

/// <summary>Tensors from the numbers that both sides make, and back.</summary>
internal static class Torch
{
    internal static Tensor From(string name, double scale, int[] shape) =>
        tensor(Numbers.Uniform(name, shape.Aggregate(1L, (product, n) => product * n), scale), Sizes(shape));

    internal static Parameter Weight(string name, bool trained, params int[] shape) =>
        new(tensor(Numbers.Weight(name, shape), Sizes(shape)), trained);

    internal static Tensor Ids(int[] ids, int batch, int length) => tensor(ids.Select(id => (long)id).ToArray(), batch, length);

    internal static double[] Sample(Tensor tensor)
    {
        using Tensor flat = tensor.detach().contiguous();
        return Numbers.Sample(flat.data<float>().ToArray());
    }

    private static long[] Sizes(int[] shape) => [.. shape.Select(n => (long)n)];
}
