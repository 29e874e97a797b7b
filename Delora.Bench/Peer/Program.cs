using Delora.Bench.Compare;
using Delora.Bench.Peer;
using TorchSharp;

try
{
    NativeLibraries.Prepare();
    torch.zeros(1).Dispose();
}
catch (Exception error)
{
    Exception cause = error.GetBaseException();
    Console.WriteLine($"error libtorch does not load here: {cause.Message.ReplaceLineEndings(" ")}");
    return 1;
}
Console.WriteLine($"ready libtorch {torch.__version__} through TorchSharp");
return SideLoop.Run(@case =>
{
    torch.set_num_threads(@case.Threads);
    return @case.Kind switch
    {
        "product" => new ProductWork(@case),
        "layer" => new LayerWork(@case),
        "step" => new StepWork(ModelShape.Get(@case.Variant)),
        _ => throw new ArgumentException($"no case of kind '{@case.Kind}'"),
    };
});
