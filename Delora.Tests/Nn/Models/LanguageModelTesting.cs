using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn.Models;

/// <summary>What holds for every language model, whichever family it is of.</summary>
internal static class LanguageModelTesting
{
    /// <summary>A device computes the reference's logits.</summary>
    internal static void DeviceAgreesWithReference(Func<Device, CausalLanguageModel> create, Device device, int seq, double tolerance)
    {
        double[][] results = [.. ((Device[])[Devices.Reference, device]).Select(d =>
        {
            using CausalLanguageModel model = create(d);
            using var scope = new TensorScope("test");
            return model.Forward(TinyLlama.Ids([1, seq], d)).ToArray<double>();
        })];
        OpTesting.Close(results[0], results[1], tolerance);
    }

    /// <summary>Two sequences, read piece by piece into a cache, give the logits of the whole; also after the cache was cut.</summary>
    /// <param name="model">A frozen model.</param>
    /// <param name="padded">Whether the second sequence is padded on the left.</param>
    internal static void CacheAgreesWithTheWholeSequence(CausalLanguageModel model, bool padded = false)
    {
        const int Length = 11, Capacity = 14;
        using var scope = new TensorScope("test");
        int[] numbers = TinyLlama.Ids([2, Length], model.Device).ToArray<int>();
        Tensor? mask = Mask(Length), room = Mask(Capacity);
        double[] whole = model.Forward(Tensor.From(numbers, [2, Length], model.Device), mask).ToArray<double>();
        using KeyValueCache cache = model.CreateCache(2, Capacity);
        foreach ((int start, int count) in ((int, int)[])[(0, 4), (4, 1), (5, 3), (8, 1), (9, 2)]) Compare(start, count);
        Assert.Equal(Length, cache.Length);
        cache.Truncate(4);
        Compare(4, 1);

        void Compare(int start, int count)
        {
            int[] part = [.. Enumerable.Range(0, 2).SelectMany(b => numbers.Skip(b * Length + start).Take(count))];
            double[] got = model.ForwardLast(Tensor.From(part, [2, count], model.Device), cache, room).ToArray<double>();
            int last = start + count - 1;
            OpTesting.Close([.. Row(whole, last), .. Row(whole, Length + last)], got, 2e-5);
        }

        IEnumerable<double> Row(double[] logits, int row) => logits.Skip(row * model.Config.VocabSize).Take(model.Config.VocabSize);

        Tensor? Mask(int length) => !padded ? null
            : Tensor.From([.. Enumerable.Range(0, 2 * length).Select(i => i >= length && i < length + 3 ? 0 : 1)], [2, length], model.Device);
    }

    /// <summary>Padding on the right changes nothing, nor does padding on the left with positions that begin at the first token.</summary>
    internal static void PaddingChangesNothing(CausalLanguageModel model)
    {
        using var scope = new TensorScope("test");
        int vocabulary = model.Config.VocabSize;
        double[] alone = model.Forward(Tensor.From([5, 6, 7], [1, 3], Devices.Cpu)).ToArray<double>();
        Tensor right = model.Forward(Tensor.From([5, 6, 7, 0, 0], [1, 5], Devices.Cpu), Tensor.From([1, 1, 1, 0, 0], [1, 5], Devices.Cpu));
        OpTesting.Close(alone, right.ToArray<double>()[..(3 * vocabulary)], 1e-5);
        Tensor left = model.Forward(Tensor.From([0, 0, 5, 6, 7], [1, 5], Devices.Cpu), Tensor.From([0, 0, 1, 1, 1], [1, 5], Devices.Cpu),
            positions: Tensor.From([0, 0, 0, 1, 2], [1, 5], Devices.Cpu));
        OpTesting.Close(alone, left.ToArray<double>()[(2 * vocabulary)..], 1e-5);
    }

    /// <summary>A context of 32 and a vocabulary of 37: what is beyond is refused, and leaves a cache as it was.</summary>
    internal static void WhatDoesNotFitIsRefused(CausalLanguageModel model)
    {
        using var scope = new TensorScope("test");
        Assert.Contains("33 tokens are more than the context of 32 holds",
            Assert.Throws<ShapeException>(() => model.Forward(TinyLlama.Ids([1, 33], Devices.Cpu))).Message);
        using KeyValueCache cache = model.CreateCache(1, 4);
        Assert.Contains("cache of 4", Assert.Throws<ShapeException>(() => model.ForwardLast(TinyLlama.Ids([1, 5], Devices.Cpu), cache)).Message);
        Assert.Throws<ShapeException>(() => model.ForwardLast(TinyLlama.Ids([2, 2], Devices.Cpu), cache));
        Assert.Throws<IndexException>(() => model.Forward(Tensor.From([37], [1, 1], Devices.Cpu)));
        Assert.Equal(0, cache.Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.CreateCache(1, 33));
        Tensor ids = TinyLlama.Ids([1, 2], Devices.Cpu);
        foreach (int position in (int[])[-1, 32, int.MaxValue])
            Assert.Throws<IndexException>(() => model.Forward(ids, positions: Tensor.From([0, position], [1, 2], Devices.Cpu)));
        Assert.Throws<ShapeException>(() => model.Forward(ids, positions: Tensor.From([0, 1], [2], Devices.Cpu)));
    }

    /// <summary>Modules and tensors are named, shaped and counted as the configuration says.</summary>
    /// <param name="model">A model that can be trained.</param>
    internal static void TensorsAreThoseOfTheConfiguration(CausalLanguageModel model)
    {
        Assert.Equal(model.Config.TensorShapes().OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => (pair.Key, pair.Value)),
            model.NamedState().OrderBy(entry => entry.Name, StringComparer.Ordinal).Select(entry => (entry.Name, entry.State.Shape)));
        Assert.Equal(model.Config.ParameterCount, model.NamedParameters().Sum(entry => entry.Parameter.Value.ElementCount));
        Assert.Equal(model.Config.Architecture, model.GetType().Name);
    }

    /// <summary>The gradients of all weights, the first token being padding or not.</summary>
    /// <param name="model">A small model on the reference device that can be trained.</param>
    /// <param name="seq">Tokens.</param>
    /// <param name="padded">Whether the first token is padding.</param>
    internal static void GradientsMatchNumericalDifferentiation(CausalLanguageModel model, int seq = 4, bool padded = false)
    {
        using Tensor ids = TinyLlama.Ids([1, seq], model.Device), targets = TinyLlama.Ids([1, seq], model.Device, seed: 4);
        using Tensor? mask = padded ? Tensor.From([.. Enumerable.Range(0, seq).Select(i => Math.Min(i, 1))], [1, seq], model.Device) : null;
        // What nobody can reach through the mask has no gradient, and no difference either.
        GradientCheck.Numerical(() => model.Loss(ids, targets, mask), [.. model.NamedParameters().Select(entry => entry.Parameter)]);
    }
}
