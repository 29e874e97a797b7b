using Xunit.Sdk;
using Xunit.v3;

// The CPU device uses every core and the leak check counts a device's live tensors: one test at a time.
[assembly: Parallelization(Mode = ParallelMode.None)]
[assembly: Delora.Tests.NoLeaks]
