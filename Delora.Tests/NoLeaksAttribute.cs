using System.Collections.Concurrent;
using System.Reflection;
using Delora.Core;
using Delora.Kernels;
using Xunit.v3;

namespace Delora.Tests;

/// <summary>
/// On the assembly: when a test method returns, the devices that tests share hold the same allocations as before it. What it forgot is
/// named, also where the garbage collector was quicker. A test releases its tensors in its method: the class's Dispose runs too late.
/// </summary>
[AttributeUsage(AttributeTargets.Assembly | AttributeTargets.Class | AttributeTargets.Method)]
public sealed class NoLeaksAttribute : BeforeAfterTestAttribute
{
    private static readonly ConcurrentDictionary<Device, ConcurrentQueue<AllocationRecord>> s_finalized = new();
    private readonly ConcurrentDictionary<string, Dictionary<Device, HashSet<long>>> _before = new();

    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        _before[test.UniqueID] = Watched().ToDictionary(device => device, device => Ids(device));
    }

    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (!_before.TryRemove(test.UniqueID, out Dictionary<Device, HashSet<long>>? before)) return;
        string[] forgotten = [.. Watched().SelectMany(device => Forgotten(device, before.GetValueOrDefault(device) ?? []))];
        if (forgotten.Length > 0)
            Assert.Fail($"{forgotten.Length} tensors were not disposed by this test:\n  {string.Join("\n  ", forgotten)}");
    }

    /// <summary>The allocations that are live or were left to the finalizer, without those of <paramref name="before"/>.</summary>
    internal static IEnumerable<string> Forgotten(Device device, HashSet<long> before)
    {
        Watch(device);
        foreach (AllocationRecord record in device.Memory.LiveAllocations())
            if (!before.Contains(record.Id)) yield return $"{device.Name}: {record}";
        while (s_finalized[device].TryDequeue(out AllocationRecord? record))
            if (!before.Contains(record.Id)) yield return $"{device.Name}: {record} (freed by its finalizer)";
    }

    /// <summary>What is live now.</summary>
    internal static HashSet<long> Ids(Device device)
    {
        Watch(device);
        // What a finalizer freed between two tests was live at the end of the one before, and named there.
        s_finalized[device].Clear();
        return [.. device.Memory.LiveAllocations().Select(record => record.Id)];
    }

    private static IEnumerable<Device> Watched() => TestDevices.Started.Append(Devices.Cpu).Append(Devices.Reference).Distinct();

    private static void Watch(Device device)
    {
        var queue = new ConcurrentQueue<AllocationRecord>();
        if (s_finalized.TryAdd(device, queue)) device.Memory.Leaked += queue.Enqueue;
    }
}
