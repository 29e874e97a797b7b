using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Core;

public class TensorDataTests
{
    private static readonly float[] s_floats = [0, -0f, 0.1f, float.MaxValue, float.Epsilon, float.NaN, float.NegativeInfinity];

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Floats_are_stored_as_the_device_computes_and_read_as_either_type(string name)
    {
        Device device = TestDevices.Get(name);
        using Tensor tensor = Tensor.From(s_floats, [7], device);
        Assert.Equal(device.FloatType, tensor.DType);
        Assert.Equal(s_floats, tensor.ToArray<float>());
        Assert.Equal(s_floats.Select(value => (double)value), tensor.ToArray<double>());
        tensor.FillZero();
        Assert.Equal(new float[7], tensor.ToArray<float>());
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Doubles_are_rounded_to_nearest_on_float32_devices_only(string name)
    {
        Device device = TestDevices.Get(name);
        double[] values = [1.0 / 3, 1 + Math.ScaleB(1, -24), 1 + Math.ScaleB(3, -24), 1e300, -1e-300];
        using Tensor tensor = Tensor.From(values, [5], device);
        double[] expected = device.FloatType == DType.Float64 ? values : [.. values.Select(value => (double)(float)value)];
        Assert.Equal(expected, tensor.ToArray<double>());
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Every_type_comes_back_as_it_went_in_at_odd_sizes(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int size in (int[])[0, 1, 31, 32, 33, 127, 129, 1025])
        {
            RoundTrip(device, size, i => i - 7);
            RoundTrip(device, size, i => long.MaxValue - i);
            RoundTrip(device, size, i => (byte)i);
            RoundTrip(device, size, i => (Half)(i / 3f));
            RoundTrip(device, size, i => BFloat16.FromBits((ushort)(i * 61)));
        }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Copies_between_devices_convert_and_keep_the_shape(string name)
    {
        Device device = TestDevices.Get(name);
        using Tensor source = Tensor.From([0.1f, -2, 3, 4, 5, 6], [2, 3], device);
        using Tensor view = source.View([4], 2);
        using Tensor wide = Tensor.CopyOf(source, Devices.Reference), part = Tensor.CopyOf(view, Devices.Reference, "part");
        using Tensor back = Tensor.CopyOf(wide, device), same = Tensor.CopyOf(view, device);
        Assert.Equal([0.1f, -2, 3, 4, 5, 6], wide.ToArray<double>());
        Assert.Equal((new Shape(2, 3), device.FloatType), (back.Shape, back.DType));
        Assert.Equal(source.ToArray<float>(), back.ToArray<float>());
        Assert.Equal([3f, 4, 5, 6], part.ToArray<float>());
        Assert.Equal([3f, 4, 5, 6], same.ToArray<float>());
        same.CopyFrom<float>([7, 8, 9, 10]);
        Assert.Equal([0.1f, -2, 3, 4, 5, 6], source.ToArray<float>());
        view.CopyFrom(same);
        Assert.Equal([0.1f, -2, 7, 8, 9, 10], source.ToArray<float>());
    }

    [Fact]
    public void A_scalar_and_what_is_none()
    {
        using Tensor loss = Tensor.From([2.5f], [], Devices.Cpu, "loss"), two = Tensor.From([1f, 2], [2], Devices.Cpu, "two");
        Assert.Equal(2.5, loss.ToScalar());
        Assert.Contains("'two' [2] has 2 elements", Assert.Throws<ShapeException>(() => two.ToScalar()).Message);
    }

    [Fact]
    public void Counts_and_types_that_do_not_fit()
    {
        Device cpu = Devices.Cpu;
        var count = Assert.Throws<ShapeException>(() => Tensor.From([1f, 2, 3], [2, 2], cpu, "w"));
        Assert.Contains("w: 3 values for a tensor [2, 2] of 4 elements", count.Message);
        Assert.Throws<DTypeException>(() => Tensor.From<int>([1], [1], DType.Float32, cpu));
        Assert.Throws<DTypeException>(() => Tensor.From([1u], [1], cpu));
        using Tensor ids = Tensor.From([1, 2], [2], cpu, "ids"), floats = Tensor.Zeros([3], DType.Float32, cpu, "floats");
        string message = Assert.Throws<DTypeException>(() => ids.ToArray<float>()).Message;
        Assert.Contains("ids [2] is int32: it cannot be read as float32", message);
        Assert.Throws<DTypeException>(() => ids.CopyFrom<float>([1, 2]));
        Assert.Throws<ShapeException>(() => ids.CopyFrom<int>([1]));
        Assert.Throws<ShapeException>(() => ids.CopyTo<int>(new int[3]));
        Assert.Contains("[2] does not fit [3] ('ids' into 'floats')", Assert.Throws<ShapeException>(() => floats.CopyFrom(ids)).Message);
    }

    [Theory]
    [InlineData(4, 0)]
    [InlineData(1, 3)]
    [InlineData(1, -1)]
    [InlineData(1, long.MaxValue)]
    public void Views_lie_within_their_tensor(int length, long offset)
    {
        using Tensor tensor = Tensor.Zeros([3], DType.Float32, Devices.Cpu);
        Assert.ThrowsAny<Exception>(() => tensor.View([length], offset));
        using Tensor part = tensor.View([2], 1);
        Assert.Throws<ShapeException>(() => part.View([1], 2));
    }

    [Fact]
    public void A_copy_of_a_disposed_tensor_leaves_nothing_behind()
    {
        Tensor gone = Tensor.Zeros([3], DType.Float32, Devices.Cpu);
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Tensor.CopyOf(gone, Devices.Cpu));
    }

    [Fact]
    public void Long_tensors_are_moved_in_pieces()
    {
        using var cpu = new CpuDevice(1);
        using var other = new CpuDevice(1);
        using var reference = new ReferenceDevice();
        int length = (4 << 20) + 7;
        var numbers = new float[length];
        for (int i = 0; i < length; i++) numbers[i] = i;
        using (Tensor whole = Tensor.From(numbers, [length], cpu), far = Tensor.CopyOf(whole, other))
        using (Tensor wide = Tensor.CopyOf(whole, reference))
        {
            Assert.True(numbers.AsSpan().SequenceEqual(far.ToArray<float>()));
            Assert.True(numbers.AsSpan().SequenceEqual(wide.ToArray<float>()));
            double[] doubles = wide.ToArray<double>();
            Assert.Equal((0.0, 2097152.0, length - 1.0), (doubles[0], doubles[2 << 20], doubles[^1]));
            doubles[^1] = 0.5;
            far.CopyFrom<double>(doubles);
            Assert.Equal([length - 2, 0.5f], far.ToArray<float>()[^2..]);
        }
        Assert.Equal(0, cpu.Memory.Statistics.LiveAllocations + other.Memory.Statistics.LiveAllocations);
    }

    [Fact]
    public void Copies_between_devices_of_views_and_of_every_type()
    {
        using var cpu = new CpuDevice(1);
        using Tensor brain = Tensor.From([(BFloat16)1f, (BFloat16)2f, (BFloat16)3f, (BFloat16)4f], [4], Devices.Reference);
        using Tensor part = brain.View([2], 1), target = Tensor.Zeros([4], DType.BFloat16, cpu), middle = target.View([2], 2);
        middle.CopyFrom(part);
        Assert.Equal([0f, 0f, 2f, 3f], target.ToArray<BFloat16>().Select(value => (float)value));
        using Tensor copy = Tensor.CopyOf(part, cpu), floats = Tensor.Zeros([2], DType.Float32, cpu, "floats");
        Assert.Equal((DType.BFloat16, (BFloat16)3f), (copy.DType, copy.ToArray<BFloat16>()[1]));
        Assert.Contains("is bfloat16, 'floats' [2] is float32", Assert.Throws<DTypeException>(() => floats.CopyFrom(part)).Message);
    }

    [Fact]
    public void Memory_that_no_machine_has_is_a_typed_error_and_the_next_call_works()
    {
        foreach (Device device in new Device[] { Devices.Cpu, Devices.Reference })
        {
            var error = Assert.Throws<DeviceMemoryException>(
                () => Tensor.Empty([1 << 30, 1 << 28], device.FloatType, device, "far too much"));
            Assert.Contains("far too much [1073741824, 268435456]", error.Message);
            using Tensor small = Tensor.From([1f], [1], device);
            Assert.Equal(1, small.ToScalar());
        }
    }

    private static void RoundTrip<T>(Device device, int size, Func<int, T> value) where T : unmanaged
    {
        T[] values = [.. Enumerable.Range(0, size).Select(value)];
        using Tensor tensor = Tensor.From(values, [size], device), copy = Tensor.CopyOf(tensor, device);
        Assert.Equal(DTypes.Of<T>(), tensor.DType);
        Assert.Equal(values, tensor.ToArray<T>());
        Assert.Equal(values, copy.ToArray<T>());
    }
}
