namespace Delora.Tests.Ptx;

/// <summary>What the strict PTX machine refuses. The message names kernel, line of the text and, where there is one, the thread.</summary>
internal abstract class PtxFault(string message) : Exception(message);

/// <summary>The text is not PTX that the machine knows.</summary>
internal sealed class PtxSyntaxFault(string message) : PtxFault(message);

/// <summary>A register is read that the thread has never written.</summary>
internal sealed class UnwrittenRegisterFault(string message) : PtxFault(message);

/// <summary>Shared or local memory is read that nobody has written, or whose asynchronous copy has not been waited for.</summary>
internal sealed class UnwrittenMemoryFault(string message) : PtxFault(message);

/// <summary>An address is no multiple of what is accessed there.</summary>
internal sealed class MisalignedFault(string message) : PtxFault(message);

/// <summary>An access outside of every allocation, or outside of the shared, local or parameter memory.</summary>
internal sealed class OutOfBoundsFault(string message) : PtxFault(message);

/// <summary>Lanes that a warp-wide instruction names do not come to it together, or disagree about it.</summary>
internal sealed class DivergentCollectiveFault(string message) : PtxFault(message);

/// <summary>Threads wait at a barrier for others that never come.</summary>
internal sealed class BarrierFault(string message) : PtxFault(message);

/// <summary>Threads of a warp differ at a branch that is marked uniform.</summary>
internal sealed class NonUniformBranchFault(string message) : PtxFault(message);

/// <summary>Two threads access the same byte of shared memory, one of them writes, and nothing orders them.</summary>
internal sealed class RaceFault(string message) : PtxFault(message);

/// <summary>A launch, or a value given to an instruction, is beyond what the machine or PTX allows.</summary>
internal sealed class PtxLimitFault(string message) : PtxFault(message);

/// <summary>A group has run more instructions than it was given: presumably an endless loop.</summary>
internal sealed class EndlessLoopFault(string message) : PtxFault(message);
