namespace Delora.Kernels;

/// <summary>How an embedding bag joins the rows of a bag.</summary>
public enum EmbeddingBagMode
{
    /// <summary>Their sum.</summary>
    Sum,

    /// <summary>Their sum divided by their number.</summary>
    Mean,
}
