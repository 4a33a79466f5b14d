//! AMF0 and AMF3 values: decoding with limits and encoding
