using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary>One model that several threads ask, while others add and remove adapters and read reports.</summary>
public sealed class SharedModelTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(30);

    [Fact]
    public void AChangeIsNotOvertakenByRequestsThatComeLater()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        using var peft = new PeftModel(model);
        peft.AddAdapter(Config, new Generator(1));
        List<string> order = [];
        using var hold = new ManualResetEventSlim();
        using var entered = new ManualResetEventSlim();
        Thread first = new(() =>
        {
            using PretrainedModel.Lease lease = model.Enter();
            entered.Set();
            hold.Wait(s_long, TestContext.Current.CancellationToken);
            // A part of a computation does not queue behind the change that waits for the whole.
            using (model.Enter()) Add("first");
        });
        Thread change = new(() => peft.Activate());
        Thread second = new(() => { using (model.Enter()) Add($"second, with {peft.ActiveAdapters.Count} adapters"); });
        first.Start();
        entered.Wait(s_long, TestContext.Current.CancellationToken);
        StartAndBlock(change);
        StartAndBlock(second);
        Assert.Empty(order);
        hold.Set();
        foreach (Thread thread in (Thread[])[first, change, second]) Assert.True(thread.Join(s_long), string.Join(", ", order));
        Assert.Equal(["first", "second, with 0 adapters"], order);

        void Add(string name)
        {
            lock (order) order.Add(name);
        }
    }

    [Fact]
    public void ReportsAreOfOneMomentWhileAdaptersComeAndGo()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        using var peft = new PeftModel(model);
        peft.AddAdapter(Config, new Generator(1), "stays");
        float[] alone = Logits(model, peft, "stays");
        List<Exception> faults = [];
        int left = 3;
        Thread[] threads =
        [
            Repeat(() =>
            {
                peft.AddAdapter(Config, new Generator(2), "guest");
                peft.Rename("guest", "visitor");
                peft.Activate("visitor", "stays");
                peft.Delete("visitor");
            }),
            Repeat(() => Assert.Equal(alone, Logits(model, peft, "stays"))),
            Repeat(() =>
            {
                int names = peft.GetModelStatus().AvailableAdapters.Count;
                Assert.InRange(names, 1, 2);
                Assert.All(peft.GetLayerStatus(), layer => Assert.Contains("stays", layer.AvailableAdapters));
                foreach (string name in peft.Configs.Keys) Assert.Contains(name, (string[])["stays", "guest", "visitor"]);
                Assert.All(peft.BoundReport().Layers, layer => Assert.True(layer.Norm <= layer.Bound));
                (long trainable, long all) = peft.CountParameters();
                Assert.InRange(trainable, 1, all);
                Assert.NotEmpty(peft.TrainableParameters());
                Assert.NotEmpty(peft.AdaptedLayers);
                Assert.Empty(peft.MergedAdapters);
            }),
        ];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) Assert.True(thread.Join(s_long));
        Assert.Empty(faults);

        Thread Repeat(Action action) => new(() =>
        {
            try
            {
                // Each goes on until all have done enough, so that they meet.
                for (int i = 0; i < 30 || Volatile.Read(ref left) > 0; i++)
                {
                    action();
                    if (i == 29) Interlocked.Decrement(ref left);
                }
            }
            catch (Exception error)
            {
                lock (faults) faults.Add(error);
                Volatile.Write(ref left, 0);
            }
        });
    }

    [Fact]
    public void ListsOfAdaptersStayAsTheyWereRead()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        using var peft = new PeftModel(model);
        peft.AddAdapter(Config, new Generator(1), "one");
        IReadOnlyDictionary<string, AdapterConfig> configs = peft.Configs;
        IReadOnlyList<(string Name, IAdaptedLayer Layer)> layers = peft.AdaptedLayers;
        IReadOnlyList<(string Name, Parameter Parameter)> trainable = peft.TrainableParameters();
        Assert.Equal(12, trainable.Count);
        peft.Unload();
        Assert.Equal(["one"], configs.Keys);
        Assert.Equal(4, layers.Count);
        Assert.Equal(12, trainable.Count);
        Assert.Empty(peft.AdaptedLayers);
        model.Dispose();
        Assert.Empty(peft.Configs);
        Assert.Equal("None", peft.GetModelStatus().AdapterModelType);
    }

    private static DeloraConfig Config { get; } = new() { R = 2, InitWeights = false, TargetModules = ["q_proj", "v_proj"] };

    private static float[] Logits(LlamaForCausalLM model, PeftModel peft, string adapter)
    {
        using var scope = new TensorScope();
        using IDisposable rows = peft.Rows(adapter).Use();
        return model.Forward(TinyLlama.Ids([1, 5], Devices.Cpu)).ToArray<float>();
    }

    /// <summary>Starts a thread and returns when it waits; fails where it ends instead.</summary>
    private static void StartAndBlock(Thread thread)
    {
        thread.Start();
        Assert.True(SpinWait.SpinUntil(() => (thread.ThreadState & ThreadState.WaitSleepJoin) != 0 || !thread.IsAlive, s_long));
        Assert.True(thread.IsAlive, "the thread should wait");
    }
}
