using Delora.Core;

namespace Delora.Tests.Core;

public class TensorScopeTests
{
    private static Tensor New(Device device, string name = "t") => Tensor.Empty([3], DType.Float32, device, name);

    [Fact]
    public void A_scope_frees_what_was_made_in_it()
    {
        using var device = new LimitedDevice();
        using Tensor outside = New(device);
        Tensor inside;
        using (var scope = new TensorScope("step"))
        {
            Assert.Same(scope, TensorScope.Current);
            inside = New(device);
            New(device).Dispose();
            Tensor view = inside.View([1]);
            Assert.Equal(2, scope.Count);
        }
        Assert.Null(TensorScope.Current);
        Assert.True(inside.IsDisposed && !outside.IsDisposed);
        Assert.Equal(1, device.Memory.Statistics.LiveAllocations);
        Assert.Contains("'t' [3]", Assert.Throws<ObjectDisposedException>(() => inside.ToArray<float>()).Message);
    }

    [Fact]
    public void Keep_hands_a_tensor_to_the_enclosing_scope_and_then_to_the_caller()
    {
        using var device = new LimitedDevice();
        Tensor kept;
        using (var outer = new TensorScope("outer"))
        {
            using (var inner = new TensorScope("inner"))
            {
                Tensor other = New(device);
                kept = inner.Keep(New(device));
                Assert.Equal((1, 1), (inner.Count, outer.Count));
            }
            Assert.False(kept.IsDisposed);
            outer.Keep(kept);
            Assert.Equal(0, outer.Count);
        }
        Assert.False(kept.IsDisposed);
        kept.Dispose();
        Assert.Equal(0, device.Memory.Statistics.LiveAllocations);
    }

    [Fact]
    public void Keeping_what_a_scope_does_not_own()
    {
        using var device = new LimitedDevice();
        using Tensor outside = New(device, "weights");
        using var scope = new TensorScope("step");
        Assert.Contains("Scope 'step' does not own the tensor 'weights' [3]",
            Assert.Throws<InvalidOperationException>(() => scope.Keep(outside)).Message);
        Tensor gone = New(device);
        gone.Dispose();
        Assert.Throws<InvalidOperationException>(() => scope.Keep(gone));
    }

    [Fact]
    public void An_outer_scope_cannot_close_before_an_inner_one()
    {
        var outer = new TensorScope("outer");
        var inner = new TensorScope("inner");
        Assert.Contains("'outer' is closed while 'inner'", Assert.Throws<InvalidOperationException>(outer.Dispose).Message);
        inner.Dispose();
        inner.Dispose();
        Assert.Same(outer, TensorScope.Current);
        outer.Dispose();
        Assert.Null(TensorScope.Current);
    }

    [Fact]
    public async Task A_scope_is_seen_across_await_and_in_tasks()
    {
        using var device = new LimitedDevice();
        Tensor before, after, inTask;
        using (var scope = new TensorScope())
        {
            before = New(device);
            await Task.Yield();
            after = New(device);
            inTask = await Task.Run(() => New(device), TestContext.Current.CancellationToken);
            Assert.Equal(3, scope.Count);
        }
        Assert.True(before.IsDisposed && after.IsDisposed && inTask.IsDisposed);
        Assert.Null(TensorScope.Current);
    }

    [Fact]
    public async Task A_scope_opened_in_a_task_is_not_seen_by_its_caller()
    {
        using var device = new LimitedDevice();
        using var outer = new TensorScope("outer");
        await Task.Run(
            () =>
            {
                using var inner = new TensorScope("inner");
                New(device);
                Assert.Equal((1, 0), (inner.Count, outer.Count));
            },
            TestContext.Current.CancellationToken);
        Assert.Same(outer, TensorScope.Current);
        Assert.Equal(0, device.Memory.Statistics.LiveAllocations);
    }

    [Fact]
    public async Task A_scope_is_not_open_across_a_yield_return_of_an_asynchronous_iterator()
    {
        using var device = new LimitedDevice();
        using var around = new TensorScope("consumer");
        await foreach (TensorScope? seen in Iterate())
        {
            Assert.Equal("iterator", seen?.Name);
            Assert.Same(around, TensorScope.Current);
            break;
        }
        await foreach (TensorScope? seen in Iterate())
            if (seen?.Name != "iterator") Assert.Same(around, seen);
        Assert.Equal(2, around.Count);

        async IAsyncEnumerable<TensorScope?> Iterate()
        {
            using var scope = new TensorScope("iterator");
            await Task.Yield();
            New(device);
            yield return TensorScope.Current;
            New(device, "of the consumer");
            New(device, "of the consumer");
            yield return TensorScope.Current;
        }
    }

    [Fact]
    public async Task A_task_that_outlives_a_scope_falls_back_to_the_one_around_it()
    {
        using var device = new LimitedDevice();
        using var outer = new TensorScope("outer");
        var gate = new TaskCompletionSource();
        Task<Tensor> late;
        using (new TensorScope("inner"))
        {
            late = Task.Run(
                async () =>
                {
                    await gate.Task;
                    return New(device);
                },
                TestContext.Current.CancellationToken);
        }
        gate.SetResult();
        Tensor tensor = await late;
        Assert.Equal((1, false), (outer.Count, tensor.IsDisposed));
    }

    [Fact]
    public void A_scope_is_closed_when_its_block_throws()
    {
        using var device = new LimitedDevice();
        Assert.Throws<ShapeException>(() =>
        {
            using var scope = new TensorScope();
            Tensor made = New(device);
            Check.HasShape("MatMul", made, [4]);
        });
        Assert.Null(TensorScope.Current);
        Assert.Equal(0, device.Memory.Statistics.LiveAllocations);
    }

    [Fact]
    public void A_scope_may_close_while_another_thread_disposes_and_makes_tensors()
    {
        using var device = new LimitedDevice();
        using (var around = new TensorScope("around"))
            for (int round = 0; round < 100; round++)
            {
                var scope = new TensorScope("closing");
                Tensor[] tensors = [.. Enumerable.Range(0, 50).Select(_ => New(device))];
                Exception? failure = null;
                var other = new Thread(() =>
                {
                    try
                    {
                        foreach (Tensor tensor in tensors)
                        {
                            tensor.Dispose();
                            New(device);
                        }
                    }
                    catch (Exception error)
                    {
                        failure = error;
                    }
                });
                other.Start();
                scope.Dispose();
                other.Join();
                Assert.Null(failure);
            }
        Assert.Equal((0L, 0L), (device.Memory.Statistics.LiveAllocations, device.Memory.Statistics.LeakedAllocations));
    }

    [Fact]
    public void Many_threads_add_to_one_scope()
    {
        using var device = new LimitedDevice();
        using (var scope = new TensorScope())
        {
            Parallel.For(0, 500, i =>
            {
                Tensor tensor = New(device);
                if (i % 2 == 0) tensor.Dispose();
            });
            Assert.Equal(250, scope.Count);
        }
        Assert.Equal(0, device.Memory.Statistics.LiveAllocations);
    }
}
